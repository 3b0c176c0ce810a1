//! `models/<name>/model.parquet` and `sample.parquet`: what a basis is, and what it was fitted to.

use crate::{Field, Kind, Table};

const EMPCA: &str = "Bailey 2012, PASP 124, 1015";

/// The column of a component, counted from 1.
pub fn component(k: usize) -> String {
    format!("component_{k:02}")
}

/// The table of a basis of `components`, one row a pixel of its grid.
pub fn basis(components: usize) -> Table {
    use Kind::{Float32, Float64, Int32};
    let mut fields = vec![
        Field::new("wavelength", Float64, "centre of the pixel: vacuum, rest frame")
            .unit("Angstrom")
            .ucd("em.wl")
            .required(),
        Field::new(
            "n_spectra",
            Int32,
            "spectra of the sample with weight at this pixel; where 0 the model says nothing and pixels are left out",
        )
        .ucd("meta.number")
        .required(),
        Field::new(
            "mean",
            Float32,
            "mean spectrum, scaled to a mean of 1 over covered pixels; a spectrum is amplitude x (mean + components)",
        )
        .ucd("phot.flux.density;stat.mean")
        .source(EMPCA)
        .required(),
    ];
    fields.extend((1..=components).map(|k| {
        Field::new(component(k), Float32, format!("component {k}: unit length, orthogonal to the others"))
            .ucd("stat.fit.param")
            .source(EMPCA)
            .required()
    }));
    Table {
        name: "basis".into(),
        description:
            "A model's mean spectrum and components, one row a pixel; the card beside it says the rest."
                .to_owned(),
        fields,
    }
}

/// The table of a model's sample.
pub fn sample() -> Table {
    use Kind::{Float32, Float64, Int32, Int64, Text};
    Table {
        name: "sample".into(),
        description: "The spectra a basis was fitted to, in their order.".to_owned(),
        fields: vec![
            Field::new("unit", Text, "unit of work the spectrum belongs to").ucd("meta.id.part").required(),
            Field::new("targetid", Int64, "DESI target identifier").ucd("meta.id;meta.main").required(),
            Field::new("row", Int32, "row of the coadd file, from 0").ucd("meta.record").required(),
            Field::new("z", Float64, "redshift the spectrum was moved to rest with")
                .ucd("src.redshift")
                .required(),
            Field::new("amplitude", Float32, "scale of the mean spectrum in this one")
                .unit("1e-17 erg.s**-1.cm**-2.Angstrom**-1")
                .ucd("phot.flux.density")
                .required(),
        ],
    }
}
