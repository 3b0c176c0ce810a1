//! `tiles-<specprod>.{csv,fits}`: the survey and program of every tile.

use std::collections::BTreeMap;
use std::path::Path;

use crate::fits::prescan::HduKind;
use crate::fits::{ColumnValues, OpenOptions, Source, Want, read_table};

use super::InventoryError;

/// Survey and program by TILEID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileTable {
    tiles: BTreeMap<u32, (Option<String>, Option<String>)>,
}

impl TileTable {
    /// Reads `tiles-<specprod>.csv` of a production's folder, else `.fits`; `None` where there is
    /// neither.
    ///
    /// # Errors
    /// [`InventoryError`] where the table lacks TILEID, SURVEY or PROGRAM, or is malformed.
    pub fn read(folder: &Path, specprod: &str) -> Result<Option<Self>, InventoryError> {
        let csv = folder.join(format!("tiles-{specprod}.csv"));
        if csv.is_file() {
            return Self::read_csv(&csv).map(Some);
        }
        for suffix in ["fits", "fits.gz"] {
            let fits = folder.join(format!("tiles-{specprod}.{suffix}"));
            if fits.is_file() {
                return Self::read_fits(&fits).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads a table written as comma-separated values with a line of names.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_csv(path: &Path) -> Result<Self, InventoryError> {
        let text = fs_err::read_to_string(path)
            .map_err(|source| InventoryError::Unreadable { path: path.to_owned(), source })?;
        let problem = |problem: String| InventoryError::TileTable { path: path.to_owned(), problem };
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
        let names: Vec<String> = split_line(lines.next().unwrap_or_default());
        let position = |name: &str| {
            let place = names.iter().position(|column| column.eq_ignore_ascii_case(name));
            place.ok_or_else(|| problem(format!("no column {name}")))
        };
        let (tileid, survey, program) = (position("TILEID")?, position("SURVEY")?, position("PROGRAM")?);
        let mut table = Self::default();
        for (i, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let cells = split_line(line);
            let cell = |place: usize| cells.get(place).map_or("", |cell| cell.trim());
            let number = cell(tileid).parse().map_err(|_| problem(format!("line {}: no TILEID", i + 2)))?;
            table.insert(number, cell(survey), cell(program));
        }
        Ok(table)
    }

    /// Reads a table written as FITS.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_fits(path: &Path) -> Result<Self, InventoryError> {
        let problem =
            |problem: &str| InventoryError::TileTable { path: path.to_owned(), problem: problem.to_owned() };
        let source = Source::open(path, &OpenOptions::default())?;
        let hdu = source
            .hdus()
            .iter()
            .find(|hdu| matches!(hdu.kind, HduKind::Table(_)))
            .ok_or_else(|| problem("no binary table"))?;
        let wanted = [("TILEID", Want::I64), ("SURVEY", Want::Text), ("PROGRAM", Want::Text)];
        let mut columns = read_table(&source, hdu, &wanted)?.into_iter();
        let (
            Some(ColumnValues::I64(tileid)),
            Some(ColumnValues::Text(survey)),
            Some(ColumnValues::Text(program)),
        ) = (columns.next().flatten(), columns.next().flatten(), columns.next().flatten())
        else {
            return Err(problem("no columns TILEID, SURVEY and PROGRAM"));
        };
        let mut table = Self::default();
        for (row, &tileid) in tileid.iter().enumerate() {
            let tileid = u32::try_from(tileid).map_err(|_| problem("a TILEID is out of range"))?;
            table.insert(tileid, survey.get(row).unwrap_or_default(), program.get(row).unwrap_or_default());
        }
        Ok(table)
    }

    /// The survey of a tile.
    pub fn survey(&self, tileid: u32) -> Option<String> {
        self.tiles.get(&tileid).and_then(|(survey, _)| survey.clone())
    }

    /// The program of a tile.
    pub fn program(&self, tileid: u32) -> Option<String> {
        self.tiles.get(&tileid).and_then(|(_, program)| program.clone())
    }

    fn insert(&mut self, tileid: u32, survey: &str, program: &str) {
        let stated = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.tiles.insert(tileid, (stated(survey), stated(program)));
    }
}

/// Splits a line at commas outside double quotes.
fn split_line(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => cells.last_mut().expect("starts with one cell").push(c),
        }
    }
    cells
}
