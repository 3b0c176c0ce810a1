//! The generator's truth tables.

use std::collections::BTreeMap;
use std::path::Path;

/// One row of `truth-<specprod>.csv`.
pub(crate) struct TruthRow {
    cells: BTreeMap<String, String>,
}

/// Rows by unit and row of the coadd.
pub(crate) type TruthTable = BTreeMap<(String, i32), TruthRow>;

/// Reads every truth table below a simulated production.
pub(crate) fn read(folder: &Path) -> TruthTable {
    let mut table = TruthTable::new();
    for entry in fs_err::read_dir(folder.join("truth")).unwrap() {
        let text = fs_err::read_to_string(entry.unwrap().path()).unwrap();
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        for line in lines {
            let cells: BTreeMap<String, String> = names
                .iter()
                .zip(line.split(','))
                .map(|(name, cell)| ((*name).to_owned(), cell.to_owned()))
                .collect();
            let key = (cells["unit"].clone(), cells["row"].parse().unwrap());
            table.insert(key, TruthRow { cells });
        }
    }
    table
}

impl TruthRow {
    /// A column as text.
    pub(crate) fn text(&self, name: &str) -> &str {
        &self.cells[name]
    }

    /// A column as a number; nothing where the quantity does not exist.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.cells[name].parse().ok()
    }

    /// Whether the fibre saw a galaxy or quasar.
    pub(crate) fn is_extragalactic(&self) -> bool {
        self.text("dead") == "0" && ["galaxy", "qso"].contains(&self.text("class"))
    }

    pub(crate) fn targetid(&self) -> i64 {
        self.text("targetid").parse().unwrap()
    }
}
