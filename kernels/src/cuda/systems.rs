//! How the systems of `weighted_sums.cuh` and `cholesky.cuh` are laid out on a machine, and cut to fit.

use std::ops::Range;

use super::{Cuda, Launch, Machine};
use crate::constants::{GROUP_SUMS, MANY_THREADS, MOST_GROUPS, TILE_ROWS};
use crate::weighted_sums::n_pairs;

/// Threads for each group of sums of a block, four rows each.
const ROW_GROUPS: u32 = TILE_ROWS / 4;

/// Fewest groups of a block: a thread for every row of its tile.
const LEAST_GROUPS: usize = 4;

/// Threads of a block that solves: few, so that a few thousand systems reach every processor.
pub(crate) const SOLVING_THREADS: u32 = 32;

/// Systems of k equations as [element, row].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    k: usize,
    /// Numbers per system.
    n_elements: usize,
}

impl Layout {
    /// Both sides, the solution, and `more` columns of k numbers.
    pub(crate) fn new(k: usize, more: usize) -> Self {
        Self { k, n_elements: n_pairs(k) + (2 + more) * k }
    }

    /// Numbers that some rows' systems take.
    pub(crate) fn len(self, n_rows: usize) -> usize {
        n_rows * self.n_elements
    }

    /// The rows in as few parts of whole tiles as some bytes of scratch allow; where they are cut changes no bit.
    pub(crate) fn parts(self, n_rows: usize, scratch_bytes: usize) -> impl Iterator<Item = Range<usize>> {
        let tile = TILE_ROWS as usize;
        let tiles = (scratch_bytes / (self.len(tile) * size_of::<f64>())).max(1);
        (0..n_rows).step_by(tiles * tile).map(move |first| first..n_rows.min(first + tiles * tile))
    }

    /// The launch that sums, and the groups of sums that each of its blocks makes: all of them where that
    /// fills the processors, else fewer, reading the rows more often.
    pub(crate) fn sums<M: Machine>(
        self,
        dev: &Cuda<M>,
        kernel: &'static str,
        n_rows: usize,
    ) -> (Launch, u32) {
        let group = GROUP_SUMS as usize;
        let groups = n_pairs(self.k).div_ceil(group) + self.k.div_ceil(group);
        let tiles = n_rows.div_ceil(TILE_ROWS as usize);
        let wanted = (2 * dev.machine().processors() as usize).div_ceil(tiles.max(1));
        let parts = wanted.max(groups.div_ceil(MOST_GROUPS as usize));
        // Even, so that blocks are whole warps.
        let own = groups.div_ceil(parts).next_multiple_of(2).max(LEAST_GROUPS);
        let own_groups = u32::try_from(own).unwrap_or(MOST_GROUPS);
        debug_assert!(own_groups * ROW_GROUPS <= MANY_THREADS, "what the kernels are compiled for");
        (Launch::per_block(kernel, tiles * groups.div_ceil(own), own_groups * ROW_GROUPS), own_groups)
    }

    /// The launch that solves, a thread per row.
    pub(crate) fn solve(kernel: &'static str, n_rows: usize) -> Launch {
        Launch::per_block(kernel, n_rows.div_ceil(SOLVING_THREADS as usize), SOLVING_THREADS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_tiles_that_fit() {
        let layout = Layout::new(2, 0);
        // 7 numbers of 8 bytes for each of 64 rows are 3584 bytes.
        let parts: Vec<_> = layout.parts(300, 8000).collect();
        assert_eq!(parts, [0..128, 128..256, 256..300]);
        assert_eq!(layout.parts(65, 1).collect::<Vec<_>>(), [0..64, 64..65]);
        assert_eq!(layout.parts(0, 1).count(), 0);
        assert_eq!(layout.len(64) * size_of::<f64>(), 3584);
    }
}
