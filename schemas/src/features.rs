//! `features/`: one row for every row of every coadd, measured or not.

use crate::constants::{self, Line};
use crate::{Field, Kind, Table};

const FLUX: &str = "1e-17 erg.s**-1.cm**-2";
const FLUX_IVAR: &str = "1e34 erg**-2.s**2.cm**4";
const FLUX_DENSITY: &str = "1e-17 erg.s**-1.cm**-2.Angstrom**-1";
const COADD: &str = "coadd FIBERMAP";

/// Bits of the `flags` column.
pub mod flags {
    /// FIBERMAP has no EBV for this row: fluxes are not corrected for Galactic extinction.
    pub const NO_EBV: i32 = 1;
    /// Some pixels had a flux or ivar that is not finite, or a negative ivar; they count as missing.
    pub const BAD_PIXELS: i32 = 1 << 1;
    /// ZWARN is not 0.
    pub const ZWARN: i32 = 1 << 2;
    /// An arm is absent from the file, or was dropped by COADD_FIBERSTATUS.
    pub const ARM_MISSING: i32 = 1 << 3;

    /// Every bit with its meaning, for the data dictionary.
    pub const MEANINGS: [(i32, &str); 4] = [
        (NO_EBV, "not corrected for Galactic extinction (no EBV)"),
        (BAD_PIXELS, "pixels that are not finite or have negative ivar were counted as missing"),
        (ZWARN, "ZWARN is not 0"),
        (ARM_MISSING, "an arm is absent or was dropped by COADD_FIBERSTATUS"),
    ];
}

/// Target bit masks carried from FIBERMAP where the file has them.
pub const TARGET_BITS: [&str; 17] = [
    "desi_target",
    "bgs_target",
    "mws_target",
    "scnd_target",
    "cmx_target",
    "sv1_desi_target",
    "sv1_bgs_target",
    "sv1_mws_target",
    "sv1_scnd_target",
    "sv2_desi_target",
    "sv2_bgs_target",
    "sv2_mws_target",
    "sv2_scnd_target",
    "sv3_desi_target",
    "sv3_bgs_target",
    "sv3_mws_target",
    "sv3_scnd_target",
];

/// Target classes whose squared template S/N is carried from SCORES, summed over the arms.
pub const TSNR2: [&str; 8] = ["bgs", "elg", "gpbbackup", "gpbbright", "gpbdark", "lrg", "lya", "qso"];

/// Arms, in order of wavelength.
pub const ARMS: [&str; 3] = ["b", "r", "z"];

/// Rest wavelengths at which the median S/N is measured, Å.
pub const SNR_WINDOWS_AA: [(u32, f64, f64); 2] = [(1450, 1420.0, 1480.0), (5100, 5050.0, 5150.0)];

/// Bands of the synthetic photometry.
pub const BANDS: [&str; 3] = ["g", "r", "z"];

/// The table of measured features.
pub fn table() -> Table {
    let mut fields = identity();
    fields.extend(redshift());
    fields.extend(targeting());
    fields.extend(quality());
    fields.extend(breaks());
    fields.extend(indices());
    fields.extend(constants::lines().iter().flat_map(line));
    fields.extend(photometry());
    fields.extend(provenance());
    Table {
        name: "features".into(),
        description: "One row for every row of every coadd that could be read, in the coadd's order, measured or not: \
                      `state` says how the target ended and `reason` why (a unit that failed as a whole has no file; \
                      the ledger counts its rows); measured columns are NULL unless `state` is `done`. Indices \
                      and lines are measured on the observed 0.8 Angstrom pixels, arms combined, Galactic extinction \
                      removed, at DESI's resolution."
            .to_owned(),
        fields,
    }
}

fn identity() -> Vec<Field> {
    use Kind::{Float64, Int16, Int32, Int64, Text};
    vec![
        Field::new("unit", Text, "unit of work the row belongs to; with targetid the primary key")
            .ucd("meta.id.part")
            .required(),
        Field::new("targetid", Int64, "DESI target identifier; may be negative")
            .ucd("meta.id;meta.main")
            .source(COADD)
            .required(),
        Field::new("row", Int32, "row of the coadd file, from 0").ucd("meta.record").required(),
        Field::new("state", Text, "done, empty, skipped, failed or missing_upstream")
            .ucd("meta.code.status")
            .required(),
        Field::new("reason", Text, "why the target was not measured; NULL where it was").ucd("meta.note"),
        Field::new("specprod", Text, "spectroscopic production").ucd("meta.version").required(),
        Field::new("survey", Text, "survey; for tiles from the tiles table, else NULL").ucd("meta.dataset"),
        Field::new("program", Text, "program; for tiles from the tiles table, else NULL").ucd("meta.dataset"),
        Field::new("nside", Int32, "HEALPix nside of the unit; NULL for tiles").ucd("pos.healpix"),
        Field::new("healpix", Int64, "nested HEALPix pixel of the unit; NULL for tiles").ucd("pos.healpix"),
        Field::new("tileid", Int32, "tile; NULL for HEALPix units").ucd("meta.id;obs.field"),
        Field::new("petal", Int16, "petal of a tile unit").ucd("meta.id;instr"),
        Field::new("night", Int32, "last night of a tile unit, YYYYMMDD").ucd("time.epoch"),
        Field::new("ra", Float64, "right ascension of the target (ICRS)")
            .unit("deg")
            .ucd("pos.eq.ra;meta.main")
            .source(COADD),
        Field::new("dec", Float64, "declination of the target (ICRS)")
            .unit("deg")
            .ucd("pos.eq.dec;meta.main")
            .source(COADD),
        Field::new("objtype", Text, "TGT, SKY, BAD or blank").ucd("meta.code.class").source(COADD),
    ]
}

fn redshift() -> Vec<Field> {
    use Kind::{Float32, Float64, Int64, Text};
    let source = "redrock REDSHIFTS or the catalogue the run names";
    vec![
        Field::new("z", Float64, "redshift, as fitted").ucd("src.redshift").source(source),
        Field::new("zerr", Float32, "standard error of z").ucd("stat.error;src.redshift").source(source),
        Field::new("zwarn", Int64, "ZWARN bit mask").ucd("meta.code.qual").source(source),
        Field::new("deltachi2", Float64, "chi-square difference to the next best fit")
            .ucd("stat.fit.chi2")
            .source(source),
        Field::new("spectype", Text, "GALAXY, QSO or STAR, as fitted").ucd("src.class").source(source),
        Field::new("subtype", Text, "subtype, as fitted").ucd("src.class").source(source),
    ]
}

fn targeting() -> Vec<Field> {
    use Kind::{Float32, Int32, Int64};
    let mut fields = vec![
        Field::new("coadd_fiberstatus", Int32, "COADD_FIBERSTATUS bit mask")
            .ucd("meta.code.qual")
            .source(COADD),
        Field::new("ebv", Float32, "Galactic E(B-V) used")
            .unit("mag")
            .ucd("phot.color.excess")
            .source("coadd FIBERMAP (Schlegel, Finkbeiner & Davis 1998)"),
    ];
    for bits in TARGET_BITS {
        fields.push(
            Field::new(bits, Int64, format!("{} bit mask", bits.to_uppercase()))
                .ucd("meta.code")
                .source(COADD),
        );
    }
    for class in TSNR2 {
        let name = class.to_uppercase();
        fields.push(
            Field::new(
                format!("tsnr2_{class}"),
                Float32,
                format!("squared {name} template S/N, summed over the arms"),
            )
            .ucd("stat.snr")
            .source("coadd SCORES"),
        );
    }
    fields
}

fn quality() -> Vec<Field> {
    use Kind::{Float32, Int32};
    let meanings: Vec<String> = flags::MEANINGS.iter().map(|(bit, text)| format!("{bit} {text}")).collect();
    let mut fields = vec![
        Field::new("flags", Int32, format!("bit mask: {}", meanings.join("; ")))
            .ucd("meta.code.qual")
            .required(),
        Field::new("n_good_pixels", Int32, "pixels of the combined spectrum with ivar > 0")
            .ucd("meta.number")
            .required(),
        Field::new(
            "n_masked_pixels",
            Int32,
            "pixels of the combined spectrum with ivar > 0 whose MASK is not 0 (every input of the pixel was masked): \
             rule `masked` keeps their flux, which may be wrong, in every measurement; rule `dr1` leaves none",
        )
        .ucd("meta.number")
        .required(),
        Field::new("n_bad_pixels", Int32, "arm pixels that were not finite or had negative ivar")
            .ucd("meta.number")
            .required(),
    ];
    for arm in ARMS {
        let text = format!(
            "median S/N per square root of Angstrom of the {arm} arm, before combining; pixels with ivar 0 count as 0"
        );
        fields.push(
            Field::new(format!("snr_{arm}"), Float32, text)
                .unit("Angstrom**-0.5")
                .ucd("stat.snr")
                .source("definition of MEDIAN_COADD_SNR in desispec.specscore"),
        );
    }
    for (wave, lo, hi) in SNR_WINDOWS_AA {
        let text = format!("median S/N per square root of Angstrom within rest {lo} to {hi} Angstrom");
        fields.push(
            Field::new(format!("snr_{wave}"), Float32, text).unit("Angstrom**-0.5").ucd("stat.snr;em.wl"),
        );
    }
    for arm in ARMS {
        let text = format!(
            "factor by which ivar should be multiplied to describe the scatter of the {arm} arm's pixels about a \
             smooth continuum (robust)"
        );
        fields.push(Field::new(format!("ivar_scale_{arm}"), Float32, text).ucd("stat.fit.param"));
    }
    fields
}

fn breaks() -> Vec<Field> {
    let mut fields = Vec::new();
    for item in constants::breaks() {
        let (name, label) = (&item.name, &item.label);
        for (suffix, how) in [("", "plain mean of f_nu"), ("_w", "inverse-variance weighted mean of f_nu")] {
            fields.push(
                Field::new(
                    format!("{name}{suffix}"),
                    Kind::Float32,
                    format!("{label}, {how}, observed spectrum"),
                )
                .ucd("spect.continuum")
                .source(item.source.clone()),
            );
            fields.push(
                Field::new(
                    format!("{name}{suffix}_ivar"),
                    Kind::Float32,
                    format!("inverse variance of {name}{suffix}"),
                )
                .ucd("stat.weight;spect.continuum"),
            );
            fields.push(flag(&format!("{name}{suffix}")));
        }
    }
    fields
}

fn flag(name: &str) -> Field {
    let text = format!(
        "bit mask, 0 = {name} measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, \
         see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate"
    );
    Field::new(format!("{name}_flag"), Kind::Int16, text).ucd("meta.code.qual")
}

fn good_fraction(name: &str) -> Field {
    Field::new(
        format!("{name}_good"),
        Kind::Float32,
        format!("fraction of the pixels behind {name} that are good; NULL where it is off the spectrum"),
    )
    .ucd("stat.value")
}

/// The column of an absorption index: `lick_` keeps it apart from the emission line of the same name.
pub fn index_column(name: &str) -> String {
    format!("lick_{name}")
}

fn indices() -> Vec<Field> {
    let mut fields = Vec::new();
    for item in constants::indices() {
        let unit = if item.is_magnitude { "mag" } else { "Angstrom" };
        let name = &index_column(&item.name);
        let text = format!(
            "{} index, > 0 for absorption, rest frame, at DESI's resolution and not on the Lick/IDS system; bands in \
             vacuum",
            item.label
        );
        fields.push(
            Field::new(name.as_str(), Kind::Float32, text)
                .unit(unit)
                .ucd("spect.index")
                .source(item.source.clone()),
        );
        fields.push(
            Field::new(format!("{name}_err"), Kind::Float32, format!("standard error of {name}"))
                .unit(unit)
                .ucd("stat.error;spect.index"),
        );
        fields.push(good_fraction(name));
        fields.push(flag(name));
    }
    let derived = [
        ("lick_fe_mean", "mean of Fe5270 and Fe5335", "Gonzalez 1993"),
        ("lick_mgfe", "sqrt(Mgb * <Fe>)", "Gonzalez 1993"),
        ("lick_mgfe_prime", "sqrt(Mgb * (0.72 Fe5270 + 0.28 Fe5335))", "Thomas, Maraston & Bender 2003"),
    ];
    for (name, text, source) in derived {
        fields.push(Field::new(name, Kind::Float32, text).unit("Angstrom").ucd("spect.index").source(source));
    }
    fields
}

fn line(item: &Line) -> Vec<Field> {
    let (name, label) = (&item.name, &item.label);
    let null = match &item.group {
        Some(group) => format!("; NULL: blended, see {group}_flux"),
        None => String::new(),
    };
    let float = Kind::Float32;
    vec![
        Field::new(
            format!("{name}_flux"),
            float,
            format!("{label} flux in its window above the local continuum; > 0 for emission{null}"),
        )
        .unit(FLUX)
        .ucd("phot.flux;spect.line")
        .source(item.source.clone()),
        Field::new(
            format!("{name}_flux_ivar"),
            float,
            format!("inverse variance of {name}_flux, continuum fit included"),
        )
        .unit(FLUX_IVAR)
        .ucd("stat.weight;phot.flux"),
        Field::new(
            format!("{name}_ew"),
            float,
            format!("rest-frame equivalent width of {label}, > 0 for emission"),
        )
        .unit("Angstrom")
        .ucd("spect.line.eqWidth"),
        Field::new(format!("{name}_ew_ivar"), float, format!("inverse variance of {name}_ew"))
            .unit("Angstrom**-2")
            .ucd("stat.weight;spect.line.eqWidth"),
        Field::new(format!("{name}_cont"), float, format!("local continuum at {label}, observed frame"))
            .unit(FLUX_DENSITY)
            .ucd("spect.continuum"),
        good_fraction(name),
        flag(name),
    ]
}

fn photometry() -> Vec<Field> {
    let mut fields = Vec::new();
    let float = Kind::Float32;
    for band in BANDS {
        let source = "Legacy Surveys filter curves (DECam, BASS, MzLS)";
        fields.push(
            Field::new(
                format!("synth_flux_{band}"),
                float,
                format!(
                    "synthetic {band}-band flux (AB) of the spectrum, as observed: extinction not removed"
                ),
            )
            .unit("nanomaggy")
            .ucd("phot.flux;em.opt")
            .source(source),
        );
        fields.push(
            Field::new(
                format!("synth_flux_ivar_{band}"),
                float,
                format!("inverse variance of synth_flux_{band}"),
            )
            .unit("nanomaggy**-2")
            .ucd("stat.weight;phot.flux"),
        );
        fields.push(
            Field::new(
                format!("synth_coverage_{band}"),
                float,
                format!("fraction of the {band} curve's weight that good pixels cover"),
            )
            .ucd("stat.value"),
        );
        fields.push(
            Field::new(
                format!("synth_fiber_ratio_{band}"),
                float,
                format!("synth_flux_{band} over FIBERFLUX_{}", band.to_uppercase()),
            )
            .ucd("arith.ratio;phot.flux"),
        );
    }
    fields
}

fn provenance() -> Vec<Field> {
    vec![
        Field::new(
            "coadd_sha256",
            Kind::Text,
            "SHA-256 of the coadd file; NULL where the run took no digests",
        )
        .ucd("meta.checksum"),
        Field::new(
            "stage_hash",
            Kind::Text,
            "digest of the settings, constants and stage version behind the row",
        )
        .ucd("meta.version")
        .required(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_names_are_unique() {
        let mut names: Vec<String> = table().fields.into_iter().map(|field| field.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_physical_column_says_its_unit_in_the_arrow_schema() {
        let schema = table().arrow_schema();
        let field = schema.field_with_name("halpha_nii_flux").unwrap();
        assert_eq!(field.metadata()["unit"], FLUX);
        assert!(field.metadata()["ucd"].contains("spect.line"));
    }
}
