//! CPU body: nodes, then edges, then bins; each a loop over arrays in a worker's own scratch.

use std::ops::Range;

use rayon::prelude::*;

use super::{RestGrid, Shift, check};
use crate::simd::{Simd, is_good, keep_if, simd_fn};
use crate::{Cpu, Grid, KernelError, SpectraBatch};

pub(crate) fn resample(
    dev: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    rest: &RestGrid,
) -> Result<SpectraBatch<Cpu>, KernelError> {
    let shifts = check(observed, [observed.flux_sp.len(), observed.ivar_sp.len()], grid, rows)?;
    let n_pixels = observed.n_pixels;
    let n_bins = rest.n_bins();
    let mut flux_tb = vec![0.0; rows.len() * n_bins];
    let mut ivar_tb = vec![0.0; rows.len() * n_bins];
    dev.pool().install(|| {
        flux_tb.par_chunks_mut(n_bins).zip(ivar_tb.par_chunks_mut(n_bins)).zip(&shifts).for_each_init(
            Scratch::default,
            |scratch, ((flux_b, ivar_b), &(s, shift))| {
                let pixels = s * n_pixels..(s + 1) * n_pixels;
                let row = Row {
                    flux_p: &observed.flux_sp[pixels.clone()],
                    ivar_p: &observed.ivar_sp[pixels],
                    edge_aa: rest.edge_aa(),
                    shift,
                };
                resample_one(dev.simd(), scratch, &row, flux_b, ivar_b);
            },
        );
    });
    Ok(SpectraBatch {
        n_spectra: rows.len(),
        n_pixels: n_bins,
        flux_sp: flux_tb,
        ivar_sp: ivar_tb,
        mask_sp: Vec::new(),
    })
}

/// What one worker reuses from spectrum to spectrum.
#[derive(Default)]
struct Scratch {
    /// (w, f·w) of each node, the zero nodes included.
    nodes: Vec<[f32; 2]>,
    edges: Edges,
}

/// The edges of the bins that touch the data: at u, in cell i, h before node i + 1, t past node i.
#[derive(Default)]
struct Edges {
    u: Vec<f64>,
    cell: Vec<u32>,
    h: Vec<f32>,
    t: Vec<f32>,
}

/// One spectrum and where it goes.
struct Row<'a> {
    flux_p: &'a [f32],
    ivar_p: &'a [f32],
    edge_aa: &'a [f64],
    shift: Shift,
}

impl Row<'_> {
    /// Position of an edge among the nodes, on the nearest end where it lies outside.
    #[inline(always)]
    fn node_of(&self, edge_aa: f64) -> f64 {
        edge_aa.mul_add(self.shift.nodes_per_aa, self.shift.node_at_zero).clamp(0.0, self.last_node())
    }

    #[inline(always)]
    fn last_node(&self) -> f64 {
        (self.flux_p.len() + 1) as f64
    }

    /// The bins that touch the data: positions never fall from edge to edge, so those before end at
    /// node 0 and those behind start at the last one.
    fn bins(&self) -> Range<usize> {
        let (lower, upper) = (&self.edge_aa[..self.edge_aa.len() - 1], &self.edge_aa[1..]);
        let start = upper.partition_point(|&edge_aa| self.node_of(edge_aa) <= 0.0);
        let end = lower.partition_point(|&edge_aa| self.node_of(edge_aa) < self.last_node());
        start..end
    }
}

/// Fills the bins that touch the data; the others are left as they are, zero.
fn resample_one(simd: Simd, scratch: &mut Scratch, row: &Row<'_>, flux_b: &mut [f32], ivar_b: &mut [f32]) {
    let bins = row.bins();
    resample_row(simd, scratch, row, bins.start, &mut flux_b[bins.clone()], &mut ivar_b[bins]);
}

simd_fn! {
    fn resample_row(
        scratch: &mut Scratch,
        row: &Row<'_>,
        first_bin: usize,
        flux_b: &mut [f32],
        ivar_b: &mut [f32],
    ) = resample_row_body;
}

#[inline(always)]
fn resample_row_body(
    scratch: &mut Scratch,
    row: &Row<'_>,
    first_bin: usize,
    flux_b: &mut [f32],
    ivar_b: &mut [f32],
) {
    set_nodes(&mut scratch.nodes, row.flux_p, row.ivar_p);
    set_edges(&mut scratch.edges, row, &row.edge_aa[first_bin..=first_bin + flux_b.len()]);
    sum_bins(&scratch.nodes, &scratch.edges, flux_b, ivar_b);
    divide_sums(&row.shift, flux_b, ivar_b);
}

/// The nodes of one spectrum: a zero node, the pixels, a zero node, and one more for an edge upon it.
#[inline(always)]
fn set_nodes(nodes: &mut Vec<[f32; 2]>, flux_p: &[f32], ivar_p: &[f32]) {
    let n = flux_p.len();
    nodes.resize(n + 3, [0.0; 2]);
    for i in [0, n + 1, n + 2] {
        nodes[i] = [0.0; 2];
    }
    for ((node, &flux), &ivar) in nodes[1..=n].iter_mut().zip(flux_p).zip(ivar_p) {
        let good = is_good(flux, ivar);
        *node = [keep_if(good, ivar), keep_if(good, flux * ivar)];
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "fractions are rounded to f32, cells are small indices")]
fn set_edges(edges: &mut Edges, row: &Row<'_>, edge_aa: &[f64]) {
    // A whole number below 2^32 stands in the low bits of its sum with 2^52: a conversion in vectors.
    const TO_BITS: f64 = 4_503_599_627_370_496.0;
    let n = edge_aa.len();
    edges.u.resize(n, 0.0);
    edges.cell.resize(n, 0);
    edges.h.resize(n, 0.0);
    edges.t.resize(n, 0.0);
    let (u, cell) = (&mut edges.u[..n], &mut edges.cell[..n]);
    let (h, t) = (&mut edges.h[..n], &mut edges.t[..n]);
    for j in 0..n {
        let at = row.node_of(edge_aa[j]);
        let node = at.floor();
        u[j] = at;
        cell[j] = (node + TO_BITS).to_bits() as u32;
        h[j] = (node + 1.0 - at) as f32;
        t[j] = (at - node) as f32;
    }
}

impl Edges {
    #[inline(always)]
    fn cell(&self, j: usize) -> usize {
        self.cell[j] as usize
    }

    /// (w, f·w) integrated from edge j to the end of its cell, then from the cell's start to the edge.
    #[inline(always)]
    fn parts(&self, nodes: &[[f32; 2]], j: usize) -> [f32; 4] {
        let ([w0, fw0], [w1, fw1]) = (nodes[self.cell(j)], nodes[self.cell(j) + 1]);
        let far = [w0, fw0, w1, fw1];
        let near = [w1, fw1, w0, fw0];
        let width = [self.h[j], self.h[j], self.t[j], self.t[j]];
        let mut parts = [0.0; 4];
        for l in 0..4 {
            parts[l] = width[l] * (0.5 * width[l]).mul_add(far[l] - near[l], near[l]);
        }
        parts
    }

    /// (w, f·w) integrated between edges j and j + 1 of the same cell.
    #[inline(always)]
    fn inside_one_cell(&self, nodes: &[[f32; 2]], j: usize) -> [f32; 2] {
        #[expect(clippy::cast_possible_truncation, reason = "a part of a pixel is rounded to f32")]
        let width = (self.u[j + 1] - self.u[j]) as f32;
        let middle = 0.5 * (self.t[j] + self.t[j + 1]);
        let (left, right) = (nodes[self.cell(j)], nodes[self.cell(j) + 1]);
        [0, 1].map(|m| width * middle.mul_add(right[m] - left[m], left[m]))
    }
}

/// Leaves ∫ f·w du in `flux_b` and ∫ w du in `ivar_b`; bin b lies between edges b and b + 1.
#[inline(always)]
fn sum_bins(nodes: &[[f32; 2]], edges: &Edges, flux_b: &mut [f32], ivar_b: &mut [f32]) {
    let mut parts = edges.parts(nodes, 0);
    for b in 0..flux_b.len() {
        let upper_parts = edges.parts(nodes, b + 1);
        let (lower, upper) = (edges.cell(b), edges.cell(b + 1));
        let [w, fw] = if lower == upper {
            edges.inside_one_cell(nodes, b)
        } else {
            let mut sum = [parts[0], parts[1]];
            for i in lower + 1..upper {
                for m in 0..2 {
                    sum[m] += 0.5 * (nodes[i][m] + nodes[i + 1][m]);
                }
            }
            [sum[0] + upper_parts[2], sum[1] + upper_parts[3]]
        };
        (flux_b[b], ivar_b[b]) = (fw, w);
        parts = upper_parts;
    }
}

/// Turns the two integrals into flux and ivar.
#[inline(always)]
fn divide_sums(shift: &Shift, flux_b: &mut [f32], ivar_b: &mut [f32]) {
    for (flux, ivar) in flux_b.iter_mut().zip(ivar_b) {
        let (mean, information) = (*flux / *ivar * shift.flux_factor, *ivar * shift.ivar_factor);
        let good = is_good(mean, information);
        *flux = keep_if(good, mean);
        *ivar = keep_if(good, information);
    }
}
