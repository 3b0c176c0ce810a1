//! Redshifts by TARGETID: redrock files, and catalogues with named columns.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::FitsError;
use super::layout::{HduInfo, HduKind};
use super::source::{OpenOptions, Source};
use super::table::{ColumnValues, TextColumn, Want, read_table, table_info};

/// Which columns of a catalogue hold what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogColumns {
    /// EXTNAME of the table; the first table where not given.
    #[serde(default)]
    pub hdu: Option<String>,
    /// Target identifier.
    #[serde(default = "default_targetid")]
    pub targetid: String,
    /// Redshift.
    #[serde(default = "default_z")]
    pub z: String,
    /// Redshift error.
    #[serde(default)]
    pub zerr: Option<String>,
    /// Warning bits.
    #[serde(default)]
    pub zwarn: Option<String>,
    /// Δχ² to the next best fit.
    #[serde(default)]
    pub deltachi2: Option<String>,
    /// Spectral class.
    #[serde(default)]
    pub spectype: Option<String>,
    /// Subclass.
    #[serde(default)]
    pub subtype: Option<String>,
}

fn default_targetid() -> String {
    "TARGETID".to_owned()
}

fn default_z() -> String {
    "Z".to_owned()
}

impl Default for CatalogColumns {
    fn default() -> Self {
        Self {
            hdu: None,
            targetid: default_targetid(),
            z: default_z(),
            zerr: None,
            zwarn: None,
            deltachi2: None,
            spectype: None,
            subtype: None,
        }
    }
}

/// Redshifts, one row per measurement, in file order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RedshiftTable {
    /// The file.
    pub path: PathBuf,
    /// Target identifier.
    pub targetid: Vec<i64>,
    /// Redshift; not finite where the file has none.
    pub z: Vec<f64>,
    /// Redshift error.
    pub zerr: Option<Vec<f64>>,
    /// Warning bits.
    pub zwarn: Option<Vec<i64>>,
    /// Δχ² to the next best fit.
    pub deltachi2: Option<Vec<f64>>,
    /// GALAXY, QSO or STAR.
    pub spectype: Option<TextColumn>,
    /// Subclass; often empty.
    pub subtype: Option<TextColumn>,
    /// Optional columns that the file lacks.
    pub absent: Vec<String>,
    /// Rows ordered by (TARGETID, row).
    order: Vec<u32>,
}

/// One measurement; what the file does not say, or says by NaN, is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Redshift<'a> {
    /// Row in the file.
    pub row: usize,
    /// Target identifier.
    pub targetid: i64,
    /// Redshift.
    pub z: Option<f64>,
    /// Its error.
    pub zerr: Option<f64>,
    /// Warning bits.
    pub zwarn: Option<i64>,
    /// Δχ² to the next best fit.
    pub deltachi2: Option<f64>,
    /// GALAXY, QSO or STAR.
    pub spectype: Option<&'a str>,
    /// Subclass, `None` where empty.
    pub subtype: Option<&'a str>,
}

/// What a table knows about a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lookup<'a> {
    /// Nothing.
    Missing,
    /// One row, or several that agree on z: the first.
    Found(Redshift<'a>),
    /// Several rows with different z.
    Ambiguous {
        /// How many.
        rows: usize,
    },
}

impl RedshiftTable {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.targetid.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.targetid.is_empty()
    }

    /// One row.
    ///
    /// # Panics
    /// Where `row` is not below [`Self::len`].
    pub fn row(&self, row: usize) -> Redshift<'_> {
        let finite = |values: &Option<Vec<f64>>| values.as_ref().map(|v| v[row]).filter(|v| v.is_finite());
        Redshift {
            row,
            targetid: self.targetid[row],
            z: Some(self.z[row]).filter(|z| z.is_finite()),
            zerr: finite(&self.zerr),
            zwarn: self.zwarn.as_ref().map(|values| values[row]),
            deltachi2: finite(&self.deltachi2),
            spectype: text_at(self.spectype.as_ref(), row),
            subtype: text_at(self.subtype.as_ref(), row),
        }
    }

    /// What the table knows about a target.
    pub fn lookup(&self, targetid: i64) -> Lookup<'_> {
        let id_at = |&row: &u32| self.targetid[row as usize];
        let start = self.order.partition_point(|row| id_at(row) < targetid);
        let end = self.order.partition_point(|row| id_at(row) <= targetid);
        let rows = &self.order[start..end];
        let Some((&first, others)) = rows.split_first() else { return Lookup::Missing };
        let z = self.z[first as usize];
        if others.iter().all(|&row| self.z[row as usize].to_bits() == z.to_bits()) {
            Lookup::Found(self.row(first as usize))
        } else {
            Lookup::Ambiguous { rows: rows.len() }
        }
    }

    /// What the table knows about each of a coadd's rows. Where the table lists the same TARGETIDs
    /// in the same order (as redrock does), row goes with row, so that repeated targets keep their
    /// own redshift.
    pub fn for_targets(&self, targetid: &[i64]) -> Vec<Lookup<'_>> {
        if self.targetid == targetid {
            return (0..self.len()).map(|row| Lookup::Found(self.row(row))).collect();
        }
        targetid.iter().map(|&id| self.lookup(id)).collect()
    }
}

fn text_at(column: Option<&TextColumn>, row: usize) -> Option<&str> {
    column.and_then(|column| column.get(row)).filter(|text| !text.is_empty())
}

/// Reads a redrock file: HDU REDSHIFTS, or ZBEST in older productions.
///
/// # Errors
/// [`FitsError`] where the file, the HDU, or one of TARGETID and Z cannot be read.
pub fn read_redrock(path: impl AsRef<Path>) -> Result<RedshiftTable, FitsError> {
    let source = Source::open(path, &OpenOptions::default())?;
    let hdu = redrock_hdu(&source)?;
    let name = |name: &str| Some(name.to_owned());
    let columns = CatalogColumns {
        hdu: None,
        zerr: name("ZERR"),
        zwarn: name("ZWARN"),
        deltachi2: name("DELTACHI2"),
        spectype: name("SPECTYPE"),
        subtype: name("SUBTYPE"),
        ..CatalogColumns::default()
    };
    read_redshifts(&source, hdu, &columns)
}

fn redrock_hdu(source: &Source) -> Result<&HduInfo, FitsError> {
    match source.find("REDSHIFTS").or_else(|| source.find("ZBEST")) {
        Some(hdu) => Ok(hdu),
        None => source.require("REDSHIFTS"),
    }
}

/// The number of rows of a redrock file.
pub(crate) fn redrock_rows(source: &Source) -> Result<u64, FitsError> {
    Ok(table_info(source, redrock_hdu(source)?)?.rows)
}

/// Reads redshifts from any catalogue with a TARGETID column.
///
/// # Errors
/// [`FitsError`] where the file, the HDU, or a column named in `columns` cannot be read.
pub fn read_redshift_catalog(
    path: impl AsRef<Path>,
    columns: &CatalogColumns,
) -> Result<RedshiftTable, FitsError> {
    let source = Source::open(path, &OpenOptions::default())?;
    let hdu = match &columns.hdu {
        Some(extname) => source.require(extname)?,
        None => source.hdus().iter().find(|hdu| matches!(hdu.kind, HduKind::Table(_))).ok_or_else(|| {
            FitsError::MissingHdu {
                path: source.path().to_owned(),
                extname: "with a binary table".to_owned(),
            }
        })?,
    };
    let table = read_redshifts(&source, hdu, columns)?;
    // The caller named these columns: their absence is a mistake, not a property of the release.
    match table.absent.first() {
        Some(column) => Err(missing_column(&source, hdu, column)),
        None => Ok(table),
    }
}

fn missing_column(source: &Source, hdu: &HduInfo, column: &str) -> FitsError {
    let path = source.path().to_owned();
    FitsError::MissingColumn { path, hdu: hdu.label(), column: column.to_owned() }
}

fn read_redshifts(
    source: &Source,
    hdu: &HduInfo,
    names: &CatalogColumns,
) -> Result<RedshiftTable, FitsError> {
    let table = table_info(source, hdu)?;
    for required in [&names.targetid, &names.z] {
        if table.column(required).is_none() {
            return Err(missing_column(source, hdu, required));
        }
    }
    let optional = [
        (&names.zerr, Want::F64),
        (&names.zwarn, Want::I64),
        (&names.deltachi2, Want::F64),
        (&names.spectype, Want::Text),
        (&names.subtype, Want::Text),
    ];
    let mut wanted = vec![(names.targetid.as_str(), Want::I64), (names.z.as_str(), Want::F64)];
    wanted.extend(optional.iter().filter_map(|(name, want)| Some((name.as_deref()?, *want))));
    let mut result = RedshiftTable { path: source.path().to_owned(), ..RedshiftTable::default() };
    for (&(name, _), values) in wanted.iter().zip(read_table(source, hdu, &wanted)?) {
        result.place(names, name, values);
    }
    let rows = u32::try_from(result.targetid.len()).map_err(|_| FitsError::WrongShape {
        path: source.path().to_owned(),
        hdu: hdu.label(),
        expected: "fewer than 2^32 rows".to_owned(),
        actual: vec![table.rows],
    })?;
    let mut order: Vec<u32> = (0..rows).collect();
    order.sort_unstable_by_key(|&row| (result.targetid[row as usize], row));
    result.order = order;
    Ok(result)
}

impl RedshiftTable {
    /// Puts a column where its name says it belongs.
    fn place(&mut self, names: &CatalogColumns, name: &str, values: Option<ColumnValues>) {
        let is = |candidate: &Option<String>| candidate.as_deref() == Some(name);
        match values {
            None => self.absent.push(name.to_owned()),
            Some(ColumnValues::I64(values)) if is(&names.zwarn) => self.zwarn = Some(values),
            Some(ColumnValues::I64(values)) => self.targetid = values,
            Some(ColumnValues::F64(values)) if is(&names.zerr) => self.zerr = Some(values),
            Some(ColumnValues::F64(values)) if is(&names.deltachi2) => self.deltachi2 = Some(values),
            Some(ColumnValues::F64(values)) => self.z = values,
            Some(ColumnValues::Text(values)) if is(&names.spectype) => self.spectype = Some(values),
            Some(ColumnValues::Text(values)) => self.subtype = Some(values),
            Some(ColumnValues::F32(_) | ColumnValues::Logical(_)) => {}
        }
    }
}
