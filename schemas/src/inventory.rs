//! `inventory.parquet`: every unit found, its files, and what is known before anything is read.

use crate::{Field, Kind, Table};

/// The table of units.
pub fn table() -> Table {
    Table {
        name: "inventory".into(),
        description:
            "One row per unit found in the release tree (or broken file that could not be made one)."
                .to_owned(),
        fields: vec![
            Field::new("unit", Kind::Text, "unit id; NULL where the file could not be identified")
                .ucd("meta.id;meta.main"),
            Field::new(
                "state",
                Kind::Text,
                "complete, no_redrock (coadd alone), no_coadd (redrock alone) or broken",
            )
            .ucd("meta.code.status")
            .required(),
            Field::new("reason", Kind::Text, "why a unit is broken").ucd("meta.note"),
            Field::new("survey", Kind::Text, "survey (tiles: from the tiles table, else NULL)")
                .ucd("meta.dataset"),
            Field::new("program", Kind::Text, "program (tiles: from the tiles table, else NULL)")
                .ucd("meta.dataset"),
            Field::new("coadd_path", Kind::Text, "coadd file, relative to the input root").ucd("meta.file"),
            Field::new("coadd_bytes", Kind::Int64, "size of the coadd file").unit("byte").ucd("phys.size"),
            Field::new("coadd_rows", Kind::Int64, "rows of the coadd's FIBERMAP").ucd("meta.number"),
            Field::new("coadd_sha256", Kind::Text, "SHA-256 of the coadd file").ucd("meta.checksum"),
            Field::new("redrock_path", Kind::Text, "redrock file, relative to the input root")
                .ucd("meta.file"),
            Field::new("redrock_bytes", Kind::Int64, "size of the redrock file")
                .unit("byte")
                .ucd("phys.size"),
            Field::new("redrock_rows", Kind::Int64, "rows of REDSHIFTS").ucd("meta.number"),
            Field::new("redrock_sha256", Kind::Text, "SHA-256 of the redrock file").ucd("meta.checksum"),
        ],
    }
}
