//! CPU body: tiles of queries by panels of rows; a tile's distances are compared before any is kept.

use std::ops::Range;

use rayon::prelude::*;

use super::{NO_ROW, Neighbors, OPERATION, check_finite, check_request};
use crate::simd::{each_row, simd_fn};
use crate::{Cpu, KernelError};

/// Queries in a tile and rows in a panel where there are 32 vector registers.
const TALL: usize = 6;
const WIDE: usize = 64;

/// The same elsewhere.
const LOW: usize = 4;
const NARROW: usize = 16;

/// Most queries of one task: they stay in a core's second cache while the panels pass.
const QUERIES: usize = 192;

pub(crate) fn nearest_neighbors(
    dev: &Cpu,
    vectors_nd: &[f32],
    d: usize,
    queries: Range<usize>,
    k: usize,
) -> Result<Neighbors<Cpu>, KernelError> {
    check_finite(OPERATION, vectors_nd, d)?;
    let n = vectors_nd.len() / d;
    check_request(n, &queries, k)?;
    let width = if dev.simd().has_many_registers() { WIDE } else { NARROW };
    let panels = Panels::new(vectors_nd, d, width);
    let mut index_qk = vec![NO_ROW; queries.len() * k];
    let mut dist2_qk = vec![0.0; queries.len() * k];
    let rows = queries.len().div_ceil(dev.pool().current_num_threads()).clamp(TALL, QUERIES);
    dev.pool().install(|| {
        index_qk.par_chunks_mut(rows * k).zip(dist2_qk.par_chunks_mut(rows * k)).enumerate().for_each(
            |(i, (index_qk, dist2_qk))| {
                let first = queries.start + i * rows;
                let block = &vectors_nd[first * d..][..index_qk.len() / k * d];
                let mut best = Best { k, first_row: first, index_qk, dist2_qk, bound_q: Vec::new() };
                if width == WIDE {
                    search_wide(dev.simd(), &panels, block, &mut best);
                } else {
                    search_narrow(dev.simd(), &panels, block, &mut best);
                }
            },
        );
    });
    Ok(Neighbors { index_qk, dist2_qk })
}

/// All rows, `width` beside each other: [panel, d, width], zeros behind the last row.
struct Panels {
    n: usize,
    d: usize,
    values: Vec<f32>,
}

impl Panels {
    fn new(vectors_nd: &[f32], d: usize, width: usize) -> Self {
        let n = vectors_nd.len() / d;
        let mut values = vec![0.0; n.next_multiple_of(width) * d];
        for (panel, rows) in values.chunks_exact_mut(width * d).zip(vectors_nd.chunks(width * d)) {
            for (l, row) in rows.chunks_exact(d).enumerate() {
                for (lanes, &x) in panel.chunks_exact_mut(width).zip(row) {
                    lanes[l] = x;
                }
            }
        }
        Self { n, d, values }
    }
}

/// The nearest rows so far of a block of queries.
struct Best<'a> {
    k: usize,
    first_row: usize,
    index_qk: &'a mut [u32],
    dist2_qk: &'a mut [f32],
    /// A row nearer than this belongs among the nearest; infinite while there is room.
    bound_q: Vec<f32>,
}

impl Best<'_> {
    /// Puts a row among the nearest of a query; rows come in ascending order, so an equal one stays behind.
    #[inline(never)]
    fn insert(&mut self, q: usize, index: u32, dist2: f32) {
        let own = q * self.k..(q + 1) * self.k;
        let (index_k, dist2_k) = (&mut self.index_qk[own.clone()], &mut self.dist2_qk[own]);
        let is_full = self.bound_q[q] < f32::INFINITY;
        let filled = if is_full { self.k } else { index_k.iter().take_while(|&&i| i != NO_ROW).count() };
        let mut at = filled.min(self.k - 1);
        while at > 0 && dist2_k[at - 1] > dist2 {
            (index_k[at], dist2_k[at]) = (index_k[at - 1], dist2_k[at - 1]);
            at -= 1;
        }
        (index_k[at], dist2_k[at]) = (index, dist2);
        if index_k[self.k - 1] != NO_ROW {
            self.bound_q[q] = dist2_k[self.k - 1];
        }
    }
}

simd_fn! {
    fn search_wide(panels: &Panels, queries: &[f32], best: &mut Best<'_>) = search_body::<TALL, WIDE>;
}

simd_fn! {
    fn search_narrow(panels: &Panels, queries: &[f32], best: &mut Best<'_>) = search_body::<LOW, NARROW>;
}

#[inline(always)]
fn search_body<const R: usize, const L: usize>(panels: &Panels, queries: &[f32], best: &mut Best<'_>) {
    let d = panels.d;
    let n_queries = queries.len() / d;
    let tiles = transposed::<R>(queries, d);
    best.bound_q = vec![f32::INFINITY; n_queries];
    // Queries beyond the last are never nearer than anything.
    best.bound_q.resize(n_queries.next_multiple_of(R), -1.0);
    let mut dist2 = [[0.0; L]; R];
    for (i, panel) in panels.values.chunks_exact(L * d).enumerate() {
        for (tile, queries) in tiles.chunks_exact(d).enumerate() {
            set_distances(queries, panel, &mut dist2);
            for (q, dist2_l) in (tile * R..).zip(&dist2) {
                let bound = best.bound_q[q];
                if dist2_l.iter().fold(false, |is_near, &dist2| is_near | (dist2 < bound)) {
                    keep_nearest(panels.n, i * L, dist2_l, q, best);
                }
            }
        }
    }
}

/// R queries beside each other: [tile, d] of R, zeros behind the last.
#[inline(always)]
fn transposed<const R: usize>(queries: &[f32], d: usize) -> Vec<[f32; R]> {
    let n_tiles = (queries.len() / d).div_ceil(R);
    let mut tiles = vec![[0.0; R]; n_tiles * d];
    for (q, query) in queries.chunks_exact(d).enumerate() {
        for (lanes, &x) in tiles[q / R * d..][..d].iter_mut().zip(query) {
            lanes[q % R] = x;
        }
    }
    tiles
}

#[inline(always)]
fn set_distances<const R: usize, const L: usize>(
    queries: &[[f32; R]],
    panel: &[f32],
    dist2: &mut [[f32; L]; R],
) {
    // Sums of its own, not the caller's: these stay in registers.
    let mut sums = [[0.0_f32; L]; R];
    let (panel, _) = panel.as_chunks::<L>();
    for (query, row) in queries.iter().zip(panel) {
        each_row!(r < R, {
            let (x, sum) = (query[r], &mut sums[r]);
            for l in 0..L {
                let difference = x - row[l];
                sum[l] = difference.mul_add(difference, sum[l]);
            }
        });
    }
    *dist2 = sums;
}

/// Offers the rows of a panel to one query.
#[inline(never)]
fn keep_nearest(n: usize, first_row: usize, dist2_l: &[f32], q: usize, best: &mut Best<'_>) {
    let own = best.first_row + q;
    for (row, &dist2) in (first_row..n).zip(dist2_l) {
        if dist2 < best.bound_q[q] && row != own {
            // Rows were seen to be numbered in 32 bits.
            let Ok(index) = u32::try_from(row) else { continue };
            best.insert(q, index, dist2);
        }
    }
}
