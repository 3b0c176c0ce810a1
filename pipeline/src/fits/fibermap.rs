//! The FIBERMAP of a coadd, with what SCORES adds: one row per target.

use std::collections::BTreeMap;

use super::FitsError;
use super::cfitsio::Handle;
use super::layout::{HduInfo, TableInfo};
use super::source::Source;
use super::table::{ColumnValues, Want, read_columns, table_info};

/// Per-target columns. Only `targetid` is always there; a column that the file lacks is `None`
/// and named in `absent`. Values are the file's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fibermap {
    /// TARGETID; may be negative or above 2^53.
    pub targetid: Vec<i64>,
    /// COADD_FIBERSTATUS bits.
    pub coadd_fiberstatus: Option<Vec<i32>>,
    /// TARGET_RA, deg.
    pub target_ra: Option<Vec<f64>>,
    /// TARGET_DEC, deg.
    pub target_dec: Option<Vec<f64>>,
    /// OBJTYPE: TGT, SKY, BAD or blank.
    pub objtype: Option<Vec<String>>,
    /// MORPHTYPE.
    pub morphtype: Option<Vec<String>>,
    /// PHOTSYS: N, S, G or blank.
    pub photsys: Option<Vec<String>>,
    /// Galactic E(B−V), mag.
    pub ebv: Option<Vec<f32>>,
    /// COADD_NUMEXP.
    pub coadd_numexp: Option<Vec<i32>>,
    /// DESI_TARGET bits.
    pub desi_target: Option<Vec<i64>>,
    /// The other targeting columns (BGS, MWS, SCND and those of SV1, SV2, SV3, CMX), by name.
    pub target_bits: BTreeMap<String, Vec<i64>>,
    /// FIBERFLUX_G, nanomaggy.
    pub fiberflux_g: Option<Vec<f32>>,
    /// FIBERFLUX_R, nanomaggy.
    pub fiberflux_r: Option<Vec<f32>>,
    /// FIBERFLUX_Z, nanomaggy.
    pub fiberflux_z: Option<Vec<f32>>,
    /// FLUX_G, nanomaggy.
    pub flux_g: Option<Vec<f32>>,
    /// FLUX_R, nanomaggy.
    pub flux_r: Option<Vec<f32>>,
    /// FLUX_Z, nanomaggy.
    pub flux_z: Option<Vec<f32>>,
    /// FLUX_W1, nanomaggy.
    pub flux_w1: Option<Vec<f32>>,
    /// Inverse variance of `flux_g`.
    pub flux_ivar_g: Option<Vec<f32>>,
    /// Inverse variance of `flux_r`.
    pub flux_ivar_r: Option<Vec<f32>>,
    /// Inverse variance of `flux_z`.
    pub flux_ivar_z: Option<Vec<f32>>,
    /// Inverse variance of `flux_w1`.
    pub flux_ivar_w1: Option<Vec<f32>>,
    /// The TSNR2_* columns of SCORES, by name.
    pub tsnr2: Option<BTreeMap<String, Vec<f32>>>,
    /// MEDIAN_COADD_SNR_B of SCORES.
    pub median_coadd_snr_b: Option<Vec<f32>>,
    /// MEDIAN_COADD_SNR_R of SCORES.
    pub median_coadd_snr_r: Option<Vec<f32>>,
    /// MEDIAN_COADD_SNR_Z of SCORES.
    pub median_coadd_snr_z: Option<Vec<f32>>,
    /// Columns and HDUs looked for in vain.
    pub absent: Vec<String>,
    /// What is odd about the tables, in sentences.
    pub warnings: Vec<String>,
}

/// Targeting columns besides DESI_TARGET; which ones exist depends on the survey.
const TARGET_STEMS: [&str; 4] = ["DESI_TARGET", "BGS_TARGET", "MWS_TARGET", "SCND_TARGET"];
const TARGET_PREFIXES: [&str; 4] = ["SV1_", "SV2_", "SV3_", "CMX_"];

/// Columns read by name and then taken one by one.
struct Columns {
    values: BTreeMap<String, ColumnValues>,
    absent: Vec<String>,
}

impl Columns {
    fn read(
        source: &Source,
        handle: &mut Handle,
        hdu: &HduInfo,
        wanted: &[(&str, Want)],
    ) -> Result<Self, FitsError> {
        let columns = read_columns(source, handle, hdu, wanted)?;
        let mut values = BTreeMap::new();
        for (&(name, _), column) in wanted.iter().zip(columns) {
            if let Some(column) = column {
                values.insert(name.to_owned(), column);
            }
        }
        Ok(Self { values, absent: Vec::new() })
    }

    fn take<T>(&mut self, name: &str, unpack: impl Fn(ColumnValues) -> Option<T>) -> Option<T> {
        let taken = self.values.remove(name).and_then(unpack);
        if taken.is_none() {
            self.absent.push(name.to_owned());
        }
        taken
    }

    fn i64(&mut self, name: &str) -> Option<Vec<i64>> {
        self.take(name, |values| if let ColumnValues::I64(values) = values { Some(values) } else { None })
    }

    fn f64(&mut self, name: &str) -> Option<Vec<f64>> {
        self.take(name, |values| if let ColumnValues::F64(values) = values { Some(values) } else { None })
    }

    fn f32(&mut self, name: &str) -> Option<Vec<f32>> {
        self.take(name, |values| if let ColumnValues::F32(values) = values { Some(values) } else { None })
    }

    fn text(&mut self, name: &str) -> Option<Vec<String>> {
        self.take(name, |values| {
            if let ColumnValues::Text(values) = values {
                Some(values.iter().map(str::to_owned).collect())
            } else {
                None
            }
        })
    }
}

/// Columns of FIBERMAP with a field of their own, and their types.
const FIBERMAP_COLUMNS: [(&str, Want); 21] = [
    ("TARGETID", Want::I64),
    ("COADD_FIBERSTATUS", Want::I64),
    ("COADD_NUMEXP", Want::I64),
    ("DESI_TARGET", Want::I64),
    ("TARGET_RA", Want::F64),
    ("TARGET_DEC", Want::F64),
    ("OBJTYPE", Want::Text),
    ("MORPHTYPE", Want::Text),
    ("PHOTSYS", Want::Text),
    ("EBV", Want::F32),
    ("FIBERFLUX_G", Want::F32),
    ("FIBERFLUX_R", Want::F32),
    ("FIBERFLUX_Z", Want::F32),
    ("FLUX_G", Want::F32),
    ("FLUX_R", Want::F32),
    ("FLUX_Z", Want::F32),
    ("FLUX_W1", Want::F32),
    ("FLUX_IVAR_G", Want::F32),
    ("FLUX_IVAR_R", Want::F32),
    ("FLUX_IVAR_Z", Want::F32),
    ("FLUX_IVAR_W1", Want::F32),
];

/// Reads FIBERMAP, and SCORES where the file has it.
pub(super) fn read_fibermap(source: &Source, handle: &mut Handle) -> Result<Fibermap, FitsError> {
    let hdu = source.require("FIBERMAP")?;
    let table = table_info(source, hdu)?;
    let bits = target_columns(table);
    let mut wanted = FIBERMAP_COLUMNS.to_vec();
    wanted.extend(bits.iter().map(|name| (name.as_str(), Want::I64)));
    let mut columns = Columns::read(source, handle, hdu, &wanted)?;
    let missing = |column: &str| FitsError::MissingColumn {
        path: source.path().to_owned(),
        hdu: hdu.label(),
        column: column.to_owned(),
    };
    let targetid = columns.i64("TARGETID").ok_or_else(|| missing("TARGETID"))?;
    let narrow = |columns: &mut Columns, name| {
        columns.i64(name).map(|values| narrow_column(source, hdu, name, &values)).transpose()
    };
    let mut fibermap = Fibermap {
        targetid,
        coadd_fiberstatus: narrow(&mut columns, "COADD_FIBERSTATUS")?,
        target_ra: columns.f64("TARGET_RA"),
        target_dec: columns.f64("TARGET_DEC"),
        objtype: columns.text("OBJTYPE"),
        morphtype: columns.text("MORPHTYPE"),
        photsys: columns.text("PHOTSYS"),
        ebv: columns.f32("EBV"),
        coadd_numexp: narrow(&mut columns, "COADD_NUMEXP")?,
        desi_target: columns.i64("DESI_TARGET"),
        target_bits: BTreeMap::new(),
        fiberflux_g: columns.f32("FIBERFLUX_G"),
        fiberflux_r: columns.f32("FIBERFLUX_R"),
        fiberflux_z: columns.f32("FIBERFLUX_Z"),
        flux_g: columns.f32("FLUX_G"),
        flux_r: columns.f32("FLUX_R"),
        flux_z: columns.f32("FLUX_Z"),
        flux_w1: columns.f32("FLUX_W1"),
        flux_ivar_g: columns.f32("FLUX_IVAR_G"),
        flux_ivar_r: columns.f32("FLUX_IVAR_R"),
        flux_ivar_z: columns.f32("FLUX_IVAR_Z"),
        flux_ivar_w1: columns.f32("FLUX_IVAR_W1"),
        ..Fibermap::default()
    };
    for name in bits {
        if let Some(values) = columns.i64(&name) {
            fibermap.target_bits.insert(name, values);
        }
    }
    fibermap.absent = columns.absent;
    read_scores(source, handle, &mut fibermap)?;
    Ok(fibermap)
}

/// The targeting columns that this table has, besides DESI_TARGET.
fn target_columns(table: &TableInfo) -> Vec<String> {
    let plain = TARGET_STEMS[1..].iter().map(|stem| (*stem).to_owned());
    let prefixed = TARGET_PREFIXES
        .iter()
        .flat_map(|prefix| TARGET_STEMS.iter().map(move |stem| format!("{prefix}{stem}")));
    let names = plain.chain(prefixed).chain(["CMX_TARGET".to_owned()]);
    names.filter(|name| table.column(name).is_some()).collect()
}

fn narrow_column(
    source: &Source,
    hdu: &HduInfo,
    column: &str,
    values: &[i64],
) -> Result<Vec<i32>, FitsError> {
    let narrow = |(row, &value): (usize, &i64)| {
        i32::try_from(value).map_err(|_| FitsError::OutOfRange {
            path: source.path().to_owned(),
            hdu: hdu.label(),
            column: column.to_owned(),
            row: row as u64,
            value,
        })
    };
    values.iter().enumerate().map(narrow).collect()
}

/// SCORES are per row like FIBERMAP; where its TARGETIDs say otherwise they are not used.
fn read_scores(source: &Source, handle: &mut Handle, fibermap: &mut Fibermap) -> Result<(), FitsError> {
    let Some(hdu) = source.find("SCORES") else {
        fibermap.absent.push("SCORES".to_owned());
        return Ok(());
    };
    let table = table_info(source, hdu)?;
    if table.rows != fibermap.targetid.len() as u64 {
        let (rows, targets) = (table.rows, fibermap.targetid.len());
        fibermap.warnings.push(format!("SCORES has {rows} rows for {targets} targets: not used"));
        return Ok(());
    }
    let tsnr2: Vec<&str> =
        table.columns.iter().map(|c| c.name.as_str()).filter(|name| name.starts_with("TSNR2_")).collect();
    let mut wanted = vec![
        ("TARGETID", Want::I64),
        ("MEDIAN_COADD_SNR_B", Want::F32),
        ("MEDIAN_COADD_SNR_R", Want::F32),
        ("MEDIAN_COADD_SNR_Z", Want::F32),
    ];
    wanted.extend(tsnr2.iter().map(|name| (*name, Want::F32)));
    let mut columns = Columns::read(source, handle, hdu, &wanted)?;
    if columns.i64("TARGETID").is_some_and(|ids| ids != fibermap.targetid) {
        fibermap.warnings.push("SCORES and FIBERMAP list different TARGETIDs: SCORES not used".to_owned());
        return Ok(());
    }
    fibermap.median_coadd_snr_b = columns.f32("MEDIAN_COADD_SNR_B");
    fibermap.median_coadd_snr_r = columns.f32("MEDIAN_COADD_SNR_R");
    fibermap.median_coadd_snr_z = columns.f32("MEDIAN_COADD_SNR_Z");
    let map: BTreeMap<_, _> =
        tsnr2.iter().filter_map(|name| Some(((*name).to_owned(), columns.f32(name)?))).collect();
    fibermap.tsnr2 = (!map.is_empty()).then_some(map);
    fibermap.absent.append(&mut columns.absent);
    Ok(())
}
