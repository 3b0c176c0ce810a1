//! Launches of `nearest_neighbors.cu`.

use std::ops::Range;

use super::{Neighbors, OPERATION, check_request, check_rows, not_finite};
use crate::KernelError;
use crate::constants::{NEIGHBOR_BUFFER, TILE_ROWS};
use crate::cuda::{Arg, Cuda, DeviceArray, Launch, Machine, THREADS, axis};

/// Fewest rows of a slice: what a query keeps of each is sorted in among the others.
const LEAST_ROWS: usize = 1024;

/// Blocks for every processor, so that none waits long for the last.
const BLOCKS_PER_PROCESSOR: usize = 4;

pub(crate) fn nearest_neighbors<M: Machine>(
    dev: &Cuda<M>,
    vectors_nd: &DeviceArray<f32, M::Memory>,
    d: usize,
    queries: Range<usize>,
    k: usize,
) -> Result<Neighbors<Cuda<M>>, KernelError> {
    let n = check_rows(OPERATION, vectors_nd.len(), d)?;
    dev.check_finite(vectors_nd, |at, value| not_finite(OPERATION, at, value, d))?;
    check_request(n, &queries, k)?;
    let slices = Slices::new(n, queries.len(), dev.machine().processors() as usize);
    let mut out =
        Neighbors { index_qk: dev.room(queries.len() * k)?, dist2_qk: dev.room(queries.len() * k)? };
    let at_once = slices.queries_at_once(k, dev.machine().scratch_bytes());
    for first in queries.clone().step_by(at_once) {
        let part =
            Part { first, len: at_once.min(queries.end - first), first_place: (first - queries.start) * k };
        search(dev, vectors_nd, (n, d, k), (&slices, &part), &mut out)?;
    }
    Ok(out)
}

/// The rows in parts, each searched by blocks of its own: as many as fill the processors.
struct Slices {
    n: usize,
    rows: usize,
}

impl Slices {
    fn new(n: usize, n_queries: usize, processors: usize) -> Self {
        let tiles = n_queries.div_ceil(TILE_ROWS as usize).max(1);
        let wanted = (BLOCKS_PER_PROCESSOR * processors).div_ceil(tiles);
        let most = n.div_ceil(LEAST_ROWS).max(1);
        let rows =
            n.div_ceil(wanted.clamp(1, most)).next_multiple_of(TILE_ROWS as usize).max(TILE_ROWS as usize);
        Self { n: n.div_ceil(rows).max(1), rows }
    }

    /// Numbers that one query's lists and buffers take.
    fn keys(&self, k: usize) -> usize {
        self.n * (2 * k + NEIGHBOR_BUFFER as usize)
    }

    /// Queries, in whole tiles, whose lists there is memory for.
    fn queries_at_once(&self, k: usize, scratch_bytes: usize) -> usize {
        let tile = TILE_ROWS as usize;
        (scratch_bytes / (self.keys(k) * tile * size_of::<u64>())).max(1) * tile
    }
}

/// Queries that are searched at once.
struct Part {
    first: usize,
    len: usize,
    /// Where their results begin.
    first_place: usize,
}

fn search<M: Machine>(
    dev: &Cuda<M>,
    vectors_nd: &DeviceArray<f32, M::Memory>,
    (n, d, k): (usize, usize, usize),
    (slices, part): (&Slices, &Part),
    out: &mut Neighbors<Cuda<M>>,
) -> Result<(), KernelError> {
    let mut lists = dev.room::<u64>(part.len * slices.keys(k))?;
    let (n_queries, k) = (Arg::U32(axis(OPERATION, part.len)?), axis(OPERATION, k)?);
    let n_slices = axis(OPERATION, slices.n)?;
    let args = &mut [
        vectors_nd.arg(),
        Arg::U32(axis(OPERATION, n)?),
        Arg::U32(axis(OPERATION, d)?),
        Arg::U32(axis(OPERATION, part.first)?),
        Arg::U32(axis(OPERATION, part.len)?),
        Arg::U32(k),
        Arg::U32(n_slices),
        Arg::U32(axis(OPERATION, slices.rows)?),
        lists.arg_mut(),
    ];
    let blocks = part.len.div_ceil(TILE_ROWS as usize) * slices.n;
    // SAFETY: the arguments are the kernel's, in order; the vectors are n rows of d numbers, the queries are
    // among them, the slices cover them, and the lists have room for every slice of every query.
    unsafe { dev.launch(Launch::per_block("nearest_neighbors_f32_search", blocks, THREADS), args) }?;
    let args = &mut [
        n_queries,
        Arg::U32(k),
        Arg::U32(n_slices),
        Arg::U64(part.first_place as u64),
        lists.arg_mut(),
        out.index_qk.arg_mut(),
        out.dist2_qk.arg_mut(),
    ];
    // SAFETY: as above; the results have room for k places of every query from the first one's on.
    unsafe { dev.launch(Launch::per_warp("nearest_neighbors_f32_gather", part.len), args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_all_rows_and_fill_the_processors() {
        for (n, n_queries, processors) in [(0, 0, 2), (1, 1, 48), (2500, 7, 2), (1_000_000, 8192, 48)] {
            let slices = Slices::new(n, n_queries, processors);
            assert!(slices.n * slices.rows >= n && (slices.n - 1) * slices.rows < n.max(1), "{n}");
            assert_eq!(slices.rows % 64, 0, "whole tiles");
        }
        let slices = Slices::new(1_000_000, 8192, 132);
        assert!(slices.n * 8192 / 64 >= 4 * 132, "{}", slices.n);
        assert!(slices.keys(10) * slices.queries_at_once(10, 1 << 20) * 8 <= 1 << 20);
        assert_eq!(slices.queries_at_once(10, 1), 64, "a tile at least");
    }
}
