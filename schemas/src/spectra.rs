//! `spectra/`: rest-frame spectra on a class's common grid.

use crate::{Field, Kind, Table};

const RESAMPLING: &str = "desispec.interpolation.resample_flux (DESI collaboration); flux conserving";

/// The table of rest-frame spectra on a grid of `n_pixels`.
///
/// The grid itself stands in the file's footer (`grid_log10_first`, `grid_dlog10`, `grid_n_pixels`).
pub fn table(n_pixels: i32) -> Table {
    Table {
        name: "spectra".into(),
        description: "One row per measured target of one class: its spectrum in the rest frame, arms combined, \
                      Galactic extinction removed, on the class's common logarithmic grid (footer keys \
                      grid_log10_first, grid_dlog10, grid_n_pixels)."
            .to_owned(),
        fields: vec![
            Field::new("unit", Kind::Text, "unit of work the row belongs to").ucd("meta.id.part").required(),
            Field::new("targetid", Kind::Int64, "DESI target identifier").ucd("meta.id;meta.main").required(),
            Field::new("row", Kind::Int32, "row of the coadd file, from 0").ucd("meta.record").required(),
            Field::new("z", Kind::Float64, "redshift the spectrum was moved to rest with (0 for stars)")
                .ucd("src.redshift")
                .required(),
            Field::new(
                "flux",
                Kind::Float32List(n_pixels),
                "rest-frame flux density; 0 where ivar is 0. Neighbouring pixels are correlated, and pixels finer \
                 than the input's repeat information",
            )
            .unit("1e-17 erg.s**-1.cm**-2.Angstrom**-1")
            .ucd("phot.flux.density;em.wl")
            .source(RESAMPLING)
            .required(),
            Field::new(
                "ivar",
                Kind::Float32List(n_pixels),
                "inverse variance of flux; 0 is the only sign of a missing pixel. Information per Angstrom is \
                 conserved; covariances between pixels are not kept",
            )
            .unit("1e34 erg**-2.s**2.cm**4.Angstrom**2")
            .ucd("stat.weight")
            .source(RESAMPLING)
            .required(),
        ],
    }
}
