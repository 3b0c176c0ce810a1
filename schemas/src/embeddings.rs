//! `embeddings/`: one row for every spectrum of a model's class, embedded or not.

use crate::{Field, Kind, Table};

const EMPCA: &str = "Bailey 2012, PASP 124, 1015";

/// The table of embeddings of a model with `dimension` components.
pub fn table(dimension: i32) -> Table {
    let mut fields = identity();
    fields.extend(quality());
    fields.extend([
        Field::new(
            "embedding",
            Kind::Vector(dimension),
            "coefficients of the model's components, each divided by its standard deviation over the model's sample; \
             NULL unless state is done. Vectors of different model_hash must never be compared",
        )
        .ucd("stat.value")
        .source(EMPCA),
        Field::new(
            "embedding_variance",
            Kind::Float32List(dimension),
            "variance of each element of embedding: the diagonal of the inverse normal matrix, in the same scale",
        )
        .ucd("stat.variance")
        .source(EMPCA),
    ]);
    Table {
        name: "embeddings".into(),
        description: "One row for every spectrum of the model's class: its vector under one model. `state` says whether \
                      there is one and `reason` why not; (model_hash, unit, targetid) is the key."
            .to_owned(),
        fields,
    }
}

fn identity() -> Vec<Field> {
    use Kind::{Float64, Int32, Int64, Text};
    vec![
        Field::new("model_hash", Text, "content hash of the model; see the model's card")
            .ucd("meta.id;meta.modelled")
            .required(),
        Field::new("unit", Text, "unit of work the row belongs to").ucd("meta.id.part").required(),
        Field::new("targetid", Int64, "DESI target identifier").ucd("meta.id;meta.main").required(),
        Field::new("row", Int32, "row of the coadd file, from 0").ucd("meta.record").required(),
        Field::new("state", Text, "done or empty").ucd("meta.code.status").required(),
        Field::new(
            "reason",
            Text,
            "why there is no vector: coverage (too few good pixels, or a component that they leave open), amplitude (the \
             spectrum does not rise above noise, or is negative), variance (an element is known worse than its scatter \
             over the sample); NULL where there is one",
        )
        .ucd("meta.note"),
        Field::new("z", Float64, "redshift the spectrum was moved to rest with").ucd("src.redshift").required(),
    ]
}

fn quality() -> Vec<Field> {
    use Kind::{Float32, Int32};
    vec![
        Field::new("good_pixel_fraction", Float32, "share of the model's pixels with ivar > 0")
            .ucd("obs.param")
            .required(),
        Field::new("amplitude", Float32, "scale a of the model's mean spectrum in this one, fitted with ivar weights")
            .unit("1e-17 erg.s**-1.cm**-2.Angstrom**-1")
            .ucd("phot.flux.density"),
        Field::new("amplitude_snr", Float32, "amplitude over its standard error")
            .ucd("stat.snr"),
        Field::new(
            "constraint",
            Float32,
            "smallest share of a component's power, given the components before it, that the good pixels cover: 1 where \
             they determine all of them, 0 where one is not determined",
        )
        .ucd("stat.fit.param"),
        Field::new(
            "chi2_reduced",
            Float32,
            "chi-square of flux / amplitude about mean + components, over good pixels - components; neighbouring pixels of \
             the rest-frame grid are correlated, so 1 is not expected where the grid is finer than the data. A raw anomaly \
             score: larger is stranger",
        )
        .ucd("stat.fit.chi2"),
        Field::new("n_good_pixels", Int32, "pixels with ivar > 0 in the fit").ucd("meta.number").required(),
    ]
}
