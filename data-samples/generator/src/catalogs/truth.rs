//! What a reader must find: NULLs and sums of every declared column.
//!
//! Columns of `truth/catalogs-<specprod>.csv`:
//!
//! | column | what |
//! |---|---|
//! | `catalog`, `release`, `file`, `hdu`, `table`, `column` | the declaration, the release that the file is made as, the file below the folder, EXTNAME, and the declared column |
//! | `rows` | rows of the HDU |
//! | `nulls` | NULL values; of arrays, NULL elements; where the file has no such column, its rows |
//! | `sum` | of the other values as declared: numbers added up (doubles row by row), true values counted, bytes of texts |

use specmill_schemas::Element;

use super::cells::Cell;
use super::layout::{DeclaredColumn, Layout, Reads};
use super::recipe::element_of;
use crate::narrow::f32_of;

/// The first line of the table.
pub(super) const HEADER: &str = "catalog,release,file,hdu,table,column,rows,nulls,sum\n";

/// What was met of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    nulls: u64,
    whole: i128,
    real: f64,
}

impl Tally {
    /// With what came after.
    pub(super) fn add(&mut self, later: &Self) {
        self.nulls += later.nulls;
        self.whole += later.whole;
        self.real += later.real;
    }

    fn value(&mut self, declared: &DeclaredColumn, cell: &Cell) {
        match cell {
            Cell::Flag(value) => self.whole += i128::from(*value),
            Cell::Int(value) => self.whole += i128::from(*value),
            Cell::Text(text) => self.whole += text.len() as i128,
            Cell::Float(value) => self.real += declared.converted(*value),
            Cell::Many(_) => {}
        }
    }
}

impl DeclaredColumn {
    /// A value of the file in the declared unit, rounded once.
    fn converted(&self, value: f64) -> f64 {
        let value =
            value * self.factor.unwrap_or(1.0) * self.multiply.unwrap_or(1.0) + self.add.unwrap_or(0.0);
        if self.is_single() { f64::from(f32_of(value)) } else { value }
    }

    fn is_single(&self) -> bool {
        element_of(self.kind) == Element::Float32
    }

    fn is_null(&self, cell: &Cell) -> bool {
        let stands_for_nothing = |value: f64| {
            self.null_values.iter().any(|null| {
                let null = if self.is_single() { f64::from(f32_of(*null)) } else { *null };
                // Unequal numbers have a difference, however small they are.
                null - value == 0.0
            })
        };
        match cell {
            Cell::Float(value) => !value.is_finite() || stands_for_nothing(*value),
            Cell::Int(value) => stands_for_nothing(*value as f64),
            Cell::Text(text) => self.null_texts.iter().any(|null| null.trim_end() == text.trim_end()),
            Cell::Flag(_) | Cell::Many(_) => false,
        }
    }
}

fn is_zero(cell: &Cell, element: usize) -> bool {
    match cell {
        Cell::Many(cells) => cells.get(element).is_some_and(|cell| is_zero(cell, 0)),
        Cell::Int(value) => *value == 0,
        Cell::Float(value) => *value == 0.0,
        Cell::Flag(_) | Cell::Text(_) => false,
    }
}

/// Adds a row to the tallies of the declared columns.
pub(super) fn tally(layout: &Layout, cells: &[Cell], tallies: &mut [Tally]) {
    for (declared, tally) in layout.declared.iter().zip(tallies) {
        match &declared.reads {
            Reads::Column(at) => {
                let partner = declared.partner.map(|partner| &cells[partner]);
                let mut one = |element: usize, cell: &Cell| {
                    if partner.is_some_and(|partner| is_zero(partner, element)) || declared.is_null(cell) {
                        tally.nulls += 1;
                    } else {
                        tally.value(declared, cell);
                    }
                };
                if let Cell::Many(elements) = &cells[*at] {
                    elements.iter().enumerate().for_each(|(i, cell)| one(i, cell));
                } else {
                    one(0, &cells[*at]);
                }
            }
            Reads::Legacy(parts) => {
                let part = |i: usize| if let Cell::Int(value) = cells[parts[i]] { value } else { 0 };
                tally.whole += i128::from((part(0) << 40) | (part(1) << 16) | part(2));
            }
            Reads::Placeholder(value) if element_of(declared.kind) == Element::Text => {
                tally.whole += value.len() as i128;
            }
            Reads::Placeholder(value) => tally.whole += value.parse::<i128>().unwrap_or(0),
            Reads::Nothing => tally.nulls += 1,
        }
    }
}

/// The lines of a table; `file` is catalogue, release and file, as they stand in the first fields.
pub(super) fn render(file: &str, layout: &Layout, rows: u64, tallies: &[Tally]) -> String {
    let line = |(declared, tally): (&DeclaredColumn, &Tally)| {
        let (table, column, nulls, hdu) = (&declared.table, &declared.name, tally.nulls, &layout.extname);
        let float = matches!(element_of(declared.kind), Element::Float32 | Element::Float64);
        let sum = if float { format!("{:e}", tally.real) } else { tally.whole.to_string() };
        format!("{file},{hdu},{table},{column},{rows},{nulls},{sum}\n")
    };
    layout.declared.iter().zip(tallies).map(line).collect()
}
