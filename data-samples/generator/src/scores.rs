//! SCORES, TSNR2 and REDSHIFTS: the tables of numbers about a spectrum.

use crate::config::Release;
use crate::fibermap::Build;
use crate::record::{Record, TSNR2_TYPES};
use crate::table::{Column, Data};

/// Names of the TSNR2 columns, arm by arm and summed, of one type.
const TSNR2_NAMES: [[&str; 4]; 8] = [
    ["TSNR2_GPBDARK_B", "TSNR2_GPBDARK_R", "TSNR2_GPBDARK_Z", "TSNR2_GPBDARK"],
    ["TSNR2_ELG_B", "TSNR2_ELG_R", "TSNR2_ELG_Z", "TSNR2_ELG"],
    ["TSNR2_GPBBRIGHT_B", "TSNR2_GPBBRIGHT_R", "TSNR2_GPBBRIGHT_Z", "TSNR2_GPBBRIGHT"],
    ["TSNR2_LYA_B", "TSNR2_LYA_R", "TSNR2_LYA_Z", "TSNR2_LYA"],
    ["TSNR2_BGS_B", "TSNR2_BGS_R", "TSNR2_BGS_Z", "TSNR2_BGS"],
    ["TSNR2_GPBBACKUP_B", "TSNR2_GPBBACKUP_R", "TSNR2_GPBBACKUP_Z", "TSNR2_GPBBACKUP"],
    ["TSNR2_QSO_B", "TSNR2_QSO_R", "TSNR2_QSO_Z", "TSNR2_QSO"],
    ["TSNR2_LRG_B", "TSNR2_LRG_R", "TSNR2_LRG_Z", "TSNR2_LRG"],
];

/// Order of the types: as computed in fuji and iron, alphabetical in loa.
fn order(release: Release) -> [usize; 8] {
    match release {
        Release::Edr | Release::Dr1 => [0, 1, 2, 3, 4, 5, 6, 7],
        Release::Dr2 => [4, 1, 5, 2, 0, 7, 3, 6],
    }
}

/// The 32 TSNR2 columns: types within B, R and Z, then the sums.
pub(crate) fn tsnr2(build: &mut Build<'_>, release: Release) {
    for arm in 0..4 {
        for kind in order(release) {
            let of = |r: &Record| {
                let per_arm = r.tsnr2[kind];
                // The sum is formed in f32, as desispec forms it.
                if arm < 3 { per_arm[arm] } else { per_arm[0] + per_arm[1] + per_arm[2] }
            };
            let values = build.records.iter().map(of).collect();
            build.columns.push(Column::new(TSNR2_NAMES[kind][arm], Data::F32(values)));
        }
    }
}

/// TSNR2 of one type summed over the arms.
pub(crate) fn tsnr2_total(record: &Record, kind: &str) -> f64 {
    let slot = TSNR2_TYPES.iter().position(|known| *known == kind);
    slot.map_or(0.0, |slot| record.tsnr2[slot].iter().map(|value| f64::from(*value)).sum())
}

/// The 42 columns of SCORES.
pub(crate) fn scores_columns(release: Release, records: &[Record]) -> Vec<Column> {
    const NAMES: [[&str; 3]; 3] = [
        ["INTEG_COADD_FLUX_B", "MEDIAN_COADD_FLUX_B", "MEDIAN_COADD_SNR_B"],
        ["INTEG_COADD_FLUX_R", "MEDIAN_COADD_FLUX_R", "MEDIAN_COADD_SNR_R"],
        ["INTEG_COADD_FLUX_Z", "MEDIAN_COADD_FLUX_Z", "MEDIAN_COADD_SNR_Z"],
    ];
    let mut build = Build::new(records);
    build.long("TARGETID", |r| r.row.targetid);
    for (arm, names) in NAMES.into_iter().enumerate() {
        build.float(names[0], |r| f64::from(r.scores[arm].integral));
        build.float(names[1], |r| f64::from(r.scores[arm].median_flux));
        build.float(names[2], |r| f64::from(r.scores[arm].median_snr));
    }
    tsnr2(&mut build, release);
    build.columns
}

/// The 33 columns of the TSNR2 table of a redrock file.
pub(crate) fn tsnr2_columns(release: Release, records: &[Record]) -> Vec<Column> {
    let mut build = Build::new(records);
    build.long("TARGETID", |r| r.row.targetid);
    tsnr2(&mut build, release);
    build.columns
}

/// REDSHIFTS: 11 columns, 12 with FITMETHOD in DR2.
pub(crate) fn redshift_columns(release: Release, records: &[Record]) -> Vec<Column> {
    let mut build = Build::new(records);
    build.long("TARGETID", |r| r.row.targetid);
    redshifts(&mut build, release);
    build.columns
}

/// Z to DELTACHI2.
pub(crate) fn redshifts(build: &mut Build<'_>, release: Release) {
    build.double("Z", |r| r.fit.z);
    build.double("ZERR", |r| r.fit.zerr);
    build.long("ZWARN", |r| r.fit.zwarn);
    build.double("CHI2", |r| r.fit.chi2);
    let coeff = build.records.iter().flat_map(|r| r.fit.coeff).collect();
    let dim = release == Release::Dr1;
    build.columns.push(Column { dim, ..Column::new("COEFF", Data::F64s(10, coeff)) });
    if release == Release::Dr2 {
        build.text("FITMETHOD", 4, |r| r.fit.method.to_owned());
    }
    build.long("NPIXELS", |r| r.fit.npixels);
    build.text("SPECTYPE", 6, |r| r.fit.spectype.to_owned());
    build.text("SUBTYPE", 20, |r| r.fit.subtype.to_owned());
    build.long("NCOEFF", |r| r.fit.ncoeff);
    build.double("DELTACHI2", |r| r.fit.deltachi2);
}
