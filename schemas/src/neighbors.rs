//! `neighbors/` and `scores/`: exact nearest neighbours under a model, and what they say of strangeness.

use crate::{Field, Kind, Table};

fn key() -> Vec<Field> {
    use Kind::{Int64, Text};
    vec![
        Field::new("model_hash", Text, "content hash of the model the vectors come from")
            .ucd("meta.id;meta.modelled")
            .required(),
        Field::new(
            "metric",
            Text,
            "l2 (Euclidean distance of the vectors) or cosine (1 - cosine of their angle)",
        )
        .ucd("meta.code")
        .required(),
        Field::new("unit", Text, "unit of work of the target").ucd("meta.id.part").required(),
        Field::new("targetid", Int64, "DESI target identifier").ucd("meta.id;meta.main").required(),
    ]
}

/// The table of exact nearest neighbours.
pub fn neighbors() -> Table {
    use Kind::{Bool, Float32, Int16, Int64, Text};
    let mut fields = key();
    fields.extend([
        Field::new("rank", Int16, "1 for the nearest; ties are in the order of (unit, targetid)")
            .ucd("meta.number")
            .required(),
        Field::new("neighbor_unit", Text, "unit of work of the neighbour").ucd("meta.id.part").required(),
        Field::new("neighbor_targetid", Int64, "TARGETID of the neighbour").ucd("meta.id").required(),
        Field::new("distance", Float32, "distance in the metric").ucd("stat.value").required(),
        Field::new(
            "same_target",
            Bool,
            "the neighbour is another observation of the same TARGETID, in another unit",
        )
        .ucd("meta.code")
        .required(),
        Field::new("reciprocal", Bool, "the target is among the neighbour's own nearest neighbours")
            .ucd("meta.code")
            .required(),
    ]);
    Table {
        name: "neighbors".into(),
        description: "Exact nearest neighbours of every embedded spectrum among all others of its model, by brute force; \
                      the row itself is left out, other observations of the same target are not. \
                      (model_hash, metric, unit, targetid, rank) is the key."
            .to_owned(),
        fields,
    }
}

/// The table of raw anomaly scores.
pub fn scores() -> Table {
    use Kind::{Float32, Int16};
    let mut fields = key();
    fields.extend([
        Field::new(
            "n_neighbors",
            Int16,
            "neighbours of other TARGETIDs that knn_distance rests on; fewer than asked for where there are no more",
        )
        .ucd("meta.number")
        .required(),
        Field::new(
            "knn_distance",
            Float32,
            "distance to the n_neighbors-th nearest spectrum of another TARGETID; larger is stranger, NULL where there is \
             no other",
        )
        .ucd("stat.value"),
        Field::new(
            "knn_mean_distance",
            Float32,
            "mean distance to the n_neighbors nearest spectra of other TARGETIDs; larger is stranger",
        )
        .ucd("stat.mean"),
        Field::new("reconstruction_chi2", Float32, "chi2_reduced of the embedding; larger is stranger")
            .ucd("stat.fit.chi2")
            .required(),
    ]);
    Table {
        name: "scores".into(),
        description: "Raw anomaly scores of every embedded spectrum: not calibrated for class, redshift or \
                      signal-to-noise. (model_hash, metric, unit, targetid) is the key."
            .to_owned(),
        fields,
    }
}
