//! The bands that `extract` measures in, as the kernels take them.

use specmill_kernels::Band;
use specmill_kernels::ops::breaks::BreakBands;
use specmill_kernels::ops::indices::{IndexBands, IndexKind};
use specmill_kernels::ops::lines::LineBands;
use specmill_schemas::constants;

/// Breaks, indices and lines of the project's own tables.
#[derive(Debug)]
pub struct Bands {
    /// D4000 and its kin.
    pub breaks: Vec<BreakBands>,
    /// Lick indices.
    pub indices: Vec<IndexBands>,
    /// Emission lines in windows.
    pub lines: Vec<LineBands>,
}

impl Bands {
    /// Those of `extract`.
    pub fn of_extract() -> Self {
        let band = |(lo_aa, hi_aa): (f64, f64)| Band { lo_aa, hi_aa };
        Self {
            breaks: constants::breaks()
                .iter()
                .map(|item| BreakBands { blue: band(item.blue_aa), red: band(item.red_aa) })
                .collect(),
            indices: constants::indices()
                .iter()
                .map(|item| IndexBands {
                    band: band(item.band_aa),
                    blue: band(item.blue_aa),
                    red: band(item.red_aa),
                    kind: if item.is_magnitude { IndexKind::Ratio } else { IndexKind::Angstrom },
                })
                .collect(),
            lines: constants::lines()
                .iter()
                .map(|item| LineBands {
                    wave_aa: item.wave_aa,
                    window: band(item.window_aa),
                    blue: band(item.blue_aa),
                    red: band(item.red_aa),
                    blended: item.group.is_some(),
                })
                .collect(),
        }
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.breaks.len() + self.indices.len() + self.lines.len()
    }
}
