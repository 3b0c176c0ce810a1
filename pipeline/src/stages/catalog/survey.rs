//! What the files hold: their release and production, the tables in them, and how these are cut into units.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use specmill_schemas::catalogs::CatalogTable;

use super::error::CatalogError;
use super::release::{release_of, specprod_of};
use crate::config::DigestSetting;
use crate::declared::{CatalogFile, CatalogKind, CatalogPlan, placeholders};
use crate::error::{Error, Result, reason_of};
use crate::fits::prescan::{HduInfo, HduKind, TableInfo};
use crate::fits::{FitsError, OpenOptions, Source};
use crate::inventory::DigestCache;
use crate::ledger::{FileRecord, State};
use crate::plan::Plan;
use crate::sink;
use crate::unit::UnitId;

/// Bytes of rows in a unit, at most.
const UNIT_BYTES: u64 = 512 << 20;
/// Rows of a unit are a multiple of this, where so many fit.
const ROWS_STEP: u64 = 1024;
/// What the last run of the stage found, in the run folder.
const RECORD: &str = "catalog-inventory.json";
/// Digests of files seen before; apart because it holds file times.
const CACHE: &str = "catalog-inventory-cache.json";

/// Every file of every catalogue of a run file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Survey {
    /// In the order of the run file.
    pub(crate) files: Vec<FileSurvey>,
}

/// A file that the run file names.
pub(crate) struct PlannedFile<'s, 'p> {
    /// Its catalogue.
    pub(crate) catalog: &'p CatalogPlan,
    /// As the run file has it.
    pub(crate) file: &'p CatalogFile,
    /// What was found in it, where anybody has looked.
    pub(crate) survey: Option<&'s FileSurvey>,
}

/// One file of one catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileSurvey {
    /// The `[[catalog]]` it belongs to, from 0.
    pub(crate) catalog: usize,
    /// The settings it was surveyed under.
    pub(crate) stage_hash: String,
    /// The file, as the accounts name it; no digest where it was not read.
    pub(crate) record: FileRecord,
    /// Its name without suffixes.
    pub(crate) stem: String,
    /// Its release; empty for a raw table or a file that could not be told.
    pub(crate) release: String,
    /// The production of its targets; empty as above.
    pub(crate) specprod: String,
    /// The tables that were looked for.
    pub(crate) wanted: Vec<String>,
    /// Those that it has, or should have.
    pub(crate) tables: Vec<TableSurvey>,
}

/// One table of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableSurvey {
    /// Its name.
    pub(crate) table: String,
    /// Whether it is declared.
    pub(crate) declared: bool,
    /// The number of its HDU.
    pub(crate) hdu: usize,
    /// Rows in all.
    pub(crate) rows: u64,
    /// Bytes of its rows.
    pub(crate) bytes: u64,
    /// Rows of each unit but the last.
    pub(crate) rows_per_unit: u64,
    /// What the placeholders of the file's name stand for.
    pub(crate) names: BTreeMap<String, String>,
    /// Why it cannot be read, with the state its unit ends in.
    pub(crate) problem: Option<(State, String)>,
}

impl TableSurvey {
    /// Number of units.
    pub(crate) fn blocks(&self) -> u32 {
        let blocks = self.rows.div_ceil(self.rows_per_unit.max(1)).max(1);
        u32::try_from(blocks).unwrap_or(u32::MAX)
    }

    /// The rows of a unit.
    pub(crate) fn rows_of(&self, block: u32) -> std::ops::Range<u64> {
        let first = u64::from(block) * self.rows_per_unit;
        first.min(self.rows)..(first + self.rows_per_unit).min(self.rows)
    }

    /// A unit's id.
    pub(crate) fn unit(&self, file: &FileSurvey, block: u32) -> UnitId {
        UnitId::Catalog { declared: self.declared, table: self.table.clone(), file: file.stem.clone(), block }
    }
}

/// A unit as the survey sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The unit.
    pub(crate) unit: UnitId,
    /// The settings it should have been made under.
    pub(crate) stage_hash: String,
    /// Its rows, where the table could be surveyed.
    pub(crate) rows: Option<u64>,
    /// Bytes of them.
    pub(crate) bytes: u64,
}

impl Survey {
    /// Looks into every file of `plan`; digests are not taken.
    pub(crate) fn take(plan: &Plan) -> Self {
        let each = |(n, catalog): (usize, &CatalogPlan)| {
            catalog.files.iter().map(move |file| survey_file(n, catalog, file)).collect::<Vec<_>>()
        };
        Self { files: plan.catalogs.iter().enumerate().flat_map(each).collect() }
    }

    /// Takes the digests where the run file asks for them; a file that cannot be read to its end has none, and its
    /// tables a problem.
    ///
    /// # Errors
    /// Where the run folder cannot be written.
    pub(crate) fn add_digests(&mut self, plan: &Plan) -> Result<()> {
        if plan.run_file.input.digest == DigestSetting::None {
            return Ok(());
        }
        let path = plan.folder.join(CACHE);
        let mut cache = DigestCache::read(&path);
        for file in &mut self.files {
            // Nothing will be read of it.
            if file.tables.iter().all(|table| table.problem.is_some()) {
                continue;
            }
            match cache.digest(&file.record.path, &plan.run_file.input.root.join(&file.record.path)) {
                Ok(sha256) => file.record.sha256 = Some(sha256),
                Err(error) => {
                    for table in &mut file.tables {
                        table.problem.get_or_insert_with(|| (State::Failed, reason_of(&error)));
                    }
                }
            }
        }
        sink::write_record(&plan.folder, &path, cache.to_json().as_bytes())
    }

    /// Leaves the survey in the run folder.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn write(&self, plan: &Plan) -> Result<()> {
        let path = plan.folder.join(RECORD);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Record { path: path.clone(), source: Box::new(source) })?;
        sink::write_record(&plan.folder, &path, text.as_bytes())
    }

    /// What the last run of the stage found; nothing where there was none.
    ///
    /// # Errors
    /// Where the record cannot be understood.
    pub(crate) fn read(plan: &Plan) -> Result<Self> {
        let path = plan.folder.join(RECORD);
        match fs_err::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|source| Error::Record { path, source: Box::new(source) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Io { what: "cannot read the list of catalogues".to_owned(), source }),
        }
    }

    /// Every file of the plan, with its survey where it was made under the present settings.
    pub(crate) fn of_plan<'s, 'p>(&'s self, plan: &'p Plan) -> Vec<PlannedFile<'s, 'p>> {
        let mut by_path: BTreeMap<(&str, &str), Vec<&FileSurvey>> = BTreeMap::new();
        for file in &self.files {
            by_path.entry((&file.record.path, &file.stage_hash)).or_default().push(file);
        }
        let planned = |catalog: &'p CatalogPlan, file: &'p CatalogFile| {
            let found = by_path.get(&(file.name.as_str(), catalog.stage_hash.as_str()));
            let wanted = catalog.tables_of(file);
            let survey = found.into_iter().flatten().find(|survey| survey.wanted == wanted).copied();
            PlannedFile { catalog, file, survey }
        };
        let files =
            plan.catalogs.iter().flat_map(|catalog| catalog.files.iter().map(move |file| (catalog, file)));
        files.map(|(catalog, file)| planned(catalog, file)).collect()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.record.bytes).sum()
    }
}

impl FileSurvey {
    /// Its units.
    pub(crate) fn units(&self) -> impl Iterator<Item = Expected> {
        self.tables.iter().flat_map(move |table| {
            (0..table.blocks()).map(move |block| {
                let rows = table.rows_of(block);
                let rows = rows.end - rows.start;
                Expected {
                    unit: table.unit(self, block),
                    stage_hash: self.stage_hash.clone(),
                    rows: table.problem.is_none().then_some(rows),
                    bytes: rows * (table.bytes / table.rows.max(1)),
                }
            })
        })
    }
}

fn survey_file(n: usize, catalog: &CatalogPlan, file: &CatalogFile) -> FileSurvey {
    let bytes = fs_err::metadata(&file.path).map_or(0, |found| found.len());
    let mut survey = FileSurvey {
        catalog: n,
        stage_hash: catalog.stage_hash.clone(),
        record: FileRecord { path: file.name.clone(), bytes, sha256: None },
        stem: file.stem.clone(),
        release: String::new(),
        specprod: String::new(),
        wanted: catalog.tables_of(file).into_iter().map(str::to_owned).collect(),
        tables: Vec::new(),
    };
    let looked = if file.path.exists() {
        look_into(catalog, file, &mut survey).map_err(|error| (State::Failed, reason_of(&error)))
    } else {
        Err((State::MissingUpstream, format!("{}: there is no such file", file.path.display())))
    };
    if let Err(problem) = looked {
        let declared = catalog.declaration().is_some();
        survey.tables = catalog
            .tables_of(file)
            .into_iter()
            .map(|table| TableSurvey {
                problem: Some(problem.clone()),
                ..TableSurvey::of_no_rows(table.to_owned(), declared)
            })
            .collect();
    }
    survey
}

impl TableSurvey {
    fn of_no_rows(table: String, declared: bool) -> Self {
        Self {
            table,
            declared,
            hdu: 0,
            rows: 0,
            bytes: 0,
            rows_per_unit: ROWS_STEP,
            names: BTreeMap::new(),
            problem: None,
        }
    }

    fn of(table: String, declared: bool, (hdu, info): (&HduInfo, &TableInfo)) -> Self {
        let fit = (UNIT_BYTES / info.row_bytes.max(1)).max(1);
        Self {
            hdu: hdu.index,
            rows: info.rows,
            bytes: info.rows * info.row_bytes,
            rows_per_unit: if fit < ROWS_STEP { fit } else { fit - fit % ROWS_STEP },
            ..Self::of_no_rows(table, declared)
        }
    }
}

fn look_into(catalog: &CatalogPlan, file: &CatalogFile, survey: &mut FileSurvey) -> Result<()> {
    let source = Source::open(&file.path, &OpenOptions::default())?;
    match &catalog.kind {
        CatalogKind::Raw { table, hdu } => {
            let found = raw_table(&source, table, hdu.as_deref())?;
            survey.tables.push(TableSurvey::of(table.clone(), false, found));
        }
        CatalogKind::Declared(declaration) => {
            let fitting: Vec<(&CatalogTable, BTreeMap<String, String>)> = catalog
                .wanted_tables()
                .filter_map(|table| Some((table, placeholders(table, file)?)))
                .collect();
            if fitting.is_empty() {
                let patterns = patterns(catalog.wanted_tables());
                return Err(Box::new(CatalogError::Name { path: file.path.clone(), patterns }).into());
            }
            let release = release_of(&source, declaration, catalog.release.as_deref())?;
            let names = fitting.iter().find_map(|(_, names)| names.get("specprod"));
            survey.specprod =
                specprod_of(&file.path, catalog.specprod.as_deref(), release, names.map(String::as_str))?;
            survey.release.clone_from(&release.name);
            let first = fitting[0].0;
            for (table, names) in fitting {
                survey.tables.extend(declared_table(&source, table, names));
            }
            // Each of its tables may be absent, but a file without any is not what it should be.
            if survey.tables.is_empty() {
                let wanted = "of one of the wanted tables".to_owned();
                return Err(Box::new(no_table(file.path.clone(), &first.name, wanted, &source)).into());
            }
        }
    }
    Ok(())
}

fn patterns<'a>(tables: impl Iterator<Item = &'a CatalogTable>) -> String {
    let mut patterns: Vec<String> =
        tables.flat_map(|table| table.files.iter().map(ToString::to_string)).collect();
    patterns.dedup();
    patterns.join(", ")
}

/// The table of a file; `None` where it is absent and may be.
fn declared_table(
    source: &Source,
    table: &CatalogTable,
    names: BTreeMap<String, String>,
) -> Option<TableSurvey> {
    // Without a name it is the first.
    let any = [String::new()];
    let hdus = if table.hdus.is_empty() { &any[..] } else { &table.hdus };
    let named = |name: &String| match name.as_str() {
        "" => tables(source).next(),
        name => source.find(name).and_then(as_table),
    };
    match hdus.iter().find_map(named) {
        Some(found) => Some(TableSurvey { names, ..TableSurvey::of(table.name.clone(), true, found) }),
        None if table.optional => None,
        None => {
            let wanted: Vec<&str> =
                hdus.iter().map(|name| if name.is_empty() { "with a table" } else { name }).collect();
            let error = no_table(source.path().to_owned(), &table.name, wanted.join(" or "), source);
            Some(TableSurvey {
                problem: Some((State::Failed, error.to_string())),
                ..TableSurvey::of_no_rows(table.name.clone(), true)
            })
        }
    }
}

fn no_table(path: PathBuf, table: &str, wanted: String, source: &Source) -> CatalogError {
    let found: Vec<String> = source.hdus().iter().map(|hdu| hdu.label().to_string()).collect();
    CatalogError::NoTable { path, table: table.to_owned(), wanted, found: found.join(", ") }
}

/// The HDU that is asked for, by EXTNAME or number, or the only table there is.
fn raw_table<'s>(source: &'s Source, table: &str, hdu: Option<&str>) -> Result<(&'s HduInfo, &'s TableInfo)> {
    let found = match hdu {
        Some(wanted) => {
            let by_number = || wanted.parse::<usize>().ok().and_then(|n| source.hdus().get(n));
            source.find(wanted).or_else(by_number).and_then(as_table)
        }
        None => {
            let mut all = tables(source);
            all.next().filter(|_| all.next().is_none())
        }
    };
    found.ok_or_else(|| {
        let wanted =
            hdu.map_or("named by `hdu`, where there is not just one table".to_owned(), str::to_owned);
        Box::new(no_table(source.path().to_owned(), table, wanted, source)).into()
    })
}

/// The binary tables of a file.
pub(super) fn tables(source: &Source) -> impl Iterator<Item = (&HduInfo, &TableInfo)> {
    source.hdus().iter().filter_map(as_table)
}

fn as_table(hdu: &HduInfo) -> Option<(&HduInfo, &TableInfo)> {
    match &hdu.kind {
        HduKind::Table(table) => Some((hdu, table)),
        HduKind::Image(_) | HduKind::CompressedImage { .. } | HduKind::Other { .. } => None,
    }
}

/// The table's HDU in a file that was opened again; the file may have changed since.
pub(super) fn hdu_again<'s>(source: &'s Source, table: &TableSurvey) -> Result<&'s HduInfo> {
    let found = source.hdus().get(table.hdu).and_then(as_table);
    found.filter(|(_, info)| info.rows == table.rows).map(|(hdu, _)| hdu).ok_or_else(|| {
        let io = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is being written to");
        Error::Fits(FitsError::Io {
            path: source.path().to_owned(),
            action: "it changed while it was read",
            source: io,
        })
    })
}

/// Where a unit's rows stand in the run folder.
pub(crate) fn output_path(unit: &UnitId) -> PathBuf {
    let mut path = unit.relative_path().into_os_string();
    path.push(".parquet");
    path.into()
}

/// The name of a file without its folders.
pub(super) fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
