//! The two sides of many weighted normal equations at once, on the CPU. Twin: cuda/weighted_sums.cuh.
//!
//! Row r has weights w_rt and products (w·x)_rt over terms t; the design d_tk is common to all rows:
//! left_ij = Σ_t w_rt·(d_ti·d_tj) for j ≤ i, right_i = Σ_t (w·x)_rt·d_ti. The products d_ti·d_tj and w·x
//! are rounded to f32. Each sum is one f32 fma chain over each [`CHUNK`] of terms, in ascending order from
//! 0; the chunks are added in f64, in ascending order. How rows and sums are tiled changes no bit.

use std::ops::Range;

use crate::simd::{Simd, each_row, is_good, keep_if, simd_fn};
use crate::{KernelError, constants};

/// Terms in one f32 chain.
pub(crate) const CHUNK: usize = constants::SUM_CHUNK as usize;

/// Rows of a block of spectra, and the pixels of each that are packed at a time: long runs of memory.
pub(crate) const SPECTRA: usize = 8 * TALL;
const SPECTRUM_SPAN: usize = 4 * CHUNK;

/// Rows of a block of pixels, and the spectra of each that are packed at a time.
pub(crate) const PIXELS: usize = 16 * TALL;
const PIXEL_SPAN: usize = 2 * CHUNK;

/// Most components.
pub(crate) const MAX_COMPONENTS: usize = constants::MAX_COMPONENTS as usize;

/// Rows of a tile where there are 32 vector registers, and elsewhere.
pub(crate) const TALL: usize = 12;
pub(crate) const LOW: usize = 6;

/// Sums of a row that are made at once.
const PANEL: usize = 16;

/// Distance of a packed panel's terms: a whole panel may be written from any of its lanes.
const PANEL_STRIDE: usize = 2 * PANEL;

/// Places of a row's terms: the last ones spread the rows over the cache.
const ROW: usize = SPECTRUM_SPAN + 16;

/// Refuses a number of components that no model has.
pub(crate) fn check_components(operation: &'static str, k: usize) -> Result<(), KernelError> {
    if (1..=MAX_COMPONENTS).contains(&k) {
        return Ok(());
    }
    let what = format!("{k} components, where 1 to {MAX_COMPONENTS} are possible");
    Err(KernelError::Domain { operation, what })
}

/// Rows to give one worker at a time: enough to repay packing, few enough to keep every worker busy.
pub(crate) fn rows_per_task(n_rows: usize, threads: usize) -> usize {
    n_rows.div_ceil(threads.max(1)).next_multiple_of(TALL).clamp(TALL, SPECTRA)
}

/// d_tk with zeros behind the last component, so that whole panels can be read from any of them.
pub(crate) struct Design {
    n_components: usize,
    stride: usize,
    values: Vec<f32>,
}

impl Design {
    /// The design of `n_terms` terms, from `value(t, k)`.
    pub(crate) fn new(n_terms: usize, n_components: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let stride = n_components.next_multiple_of(PANEL) + PANEL;
        let mut values = vec![0.0; n_terms * stride];
        for (t, row) in values.chunks_exact_mut(stride).enumerate() {
            for (k, d) in row[..n_components].iter_mut().enumerate() {
                *d = value(t, k);
            }
        }
        Self { n_components, stride, values }
    }

    /// Number of components.
    pub(crate) fn n_components(&self) -> usize {
        self.n_components
    }

    /// Number of terms.
    pub(crate) fn n_terms(&self) -> usize {
        self.values.len() / self.stride
    }

    /// Where each sum of a row stands.
    pub(crate) fn layout(&self) -> Layout {
        let right = n_pairs(self.n_components).next_multiple_of(PANEL);
        Layout { right, n_sums: right + self.n_components.next_multiple_of(PANEL) }
    }
}

/// Where the sums of one row stand: left_ij at i·(i + 1)/2 + j, right_i at `right` + i.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// First right side.
    pub(crate) right: usize,
    /// Sums per row, the padding of panels included.
    pub(crate) n_sums: usize,
}

/// Pairs (i, j) with j ≤ i < k.
pub(crate) fn n_pairs(k: usize) -> usize {
    k * (k + 1) / 2
}

/// w or w·x of a block of rows over a span of terms.
pub(crate) enum Terms {
    /// Row after row.
    ByRow(Vec<[f32; ROW]>),
    /// Term after term.
    ByTerm(Vec<[f32; PIXELS]>),
}

impl Terms {
    /// Room for a block, row after row.
    pub(crate) fn by_row() -> Self {
        Self::ByRow(vec![[0.0; ROW]; SPECTRA])
    }

    /// Room for a block, term after term.
    pub(crate) fn by_term() -> Self {
        Self::ByTerm(vec![[0.0; PIXELS]; PIXEL_SPAN])
    }

    /// Rows and terms that there is room for.
    fn room(&self) -> (usize, usize) {
        match self {
            Self::ByRow(_) => (SPECTRA, SPECTRUM_SPAN),
            Self::ByTerm(_) => (PIXELS, PIXEL_SPAN),
        }
    }

    /// Line i: the terms of row i, or the rows of term i.
    pub(crate) fn line(&mut self, i: usize) -> &mut [f32] {
        match self {
            Self::ByRow(rows) => &mut rows[i],
            Self::ByTerm(terms) => &mut terms[i],
        }
    }
}

simd_fn! {
    /// Two lines, w and w·x, of pixels: zero where a pixel is missing or w·x leaves f32.
    pub(crate) fn set_line(
        value: &[f32],
        weight: &[f32],
        left: &mut [f32],
        right: &mut [f32],
    ) = set_line_body;
}

#[inline(always)]
fn set_line_body(value: &[f32], weight: &[f32], left: &mut [f32], right: &mut [f32]) {
    let n = value.len();
    let (weight, left, right) = (&weight[..n], &mut left[..n], &mut right[..n]);
    for i in 0..n {
        let product = weight[i] * value[i];
        let counts = is_good(value[i], weight[i]) & (product.abs() <= f32::MAX);
        left[i] = keep_if(counts, weight[i]);
        right[i] = keep_if(counts, product);
    }
}

/// The sums of a block of rows, and room for what they are made of.
pub(crate) struct Sums {
    /// w and w·x of the block over the current span.
    pub(crate) terms: [Terms; 2],
    layout: Layout,
    panel: Vec<f32>,
    /// [r, sum].
    sums: Vec<f64>,
}

impl Sums {
    /// Room for the sums of a block over a design.
    pub(crate) fn new(design: &Design, terms: [Terms; 2]) -> Self {
        let layout = design.layout();
        let (rows, span) = terms[0].room();
        Self { terms, layout, panel: vec![0.0; span * PANEL_STRIDE], sums: vec![0.0; rows * layout.n_sums] }
    }

    /// The terms of a design in spans.
    pub(crate) fn spans(&self, design: &Design) -> impl Iterator<Item = Range<usize>> + use<> {
        let (n, (_, span)) = (design.n_terms(), self.terms[0].room());
        (0..n).step_by(span).map(move |start| start..n.min(start + span))
    }

    /// Starts a block.
    pub(crate) fn clear(&mut self) {
        self.sums.fill(0.0);
    }

    /// Both sides of row r.
    pub(crate) fn row(&self, r: usize) -> (&[f64], &[f64]) {
        self.sums[r * self.layout.n_sums..][..self.layout.n_sums].split_at(self.layout.right)
    }

    /// Adds the current span of terms to the first `n_rows` rows.
    pub(crate) fn add_span(&mut self, simd: Simd, design: &Design, span: &Range<usize>, n_rows: usize) {
        let n_terms = span.len();
        for first in (0..self.layout.right).step_by(PANEL) {
            pack_products(simd, design, span, first, &mut self.panel);
            let factors = Factors { values: &self.panel, stride: PANEL_STRIDE, n_terms };
            add_panel(simd, &self.terms[0], &factors, n_rows, &mut self.sums[first..], self.layout.n_sums);
        }
        for first in (0..self.layout.n_sums - self.layout.right).step_by(PANEL) {
            let values = &design.values[span.start * design.stride + first..];
            let factors = Factors { values, stride: design.stride, n_terms };
            let sums = &mut self.sums[self.layout.right + first..];
            add_panel(simd, &self.terms[1], &factors, n_rows, sums, self.layout.n_sums);
        }
    }
}

/// The other factors of a panel's sums, [t, stride].
struct Factors<'a> {
    values: &'a [f32],
    stride: usize,
    n_terms: usize,
}

/// Adds a panel to rows whose sums are `n_sums` apart, chunk after chunk, so that each stays in cache.
fn add_panel(
    simd: Simd,
    terms: &Terms,
    factors: &Factors<'_>,
    n_rows: usize,
    sums: &mut [f64],
    n_sums: usize,
) {
    let is_tall = simd.has_many_registers();
    let height = if is_tall { TALL } else { LOW };
    for first_term in (0..factors.n_terms).step_by(CHUNK) {
        let end = factors.n_terms.min(first_term + CHUNK);
        let chunk = Factors {
            values: &factors.values[first_term * factors.stride..],
            n_terms: end - first_term,
            ..*factors
        };
        for row in (0..n_rows).step_by(height) {
            let sums = &mut sums[row * n_sums..];
            if is_tall {
                let chains = &mut [[0.0; PANEL]; TALL];
                match terms {
                    Terms::ByRow(rows) => tall_by_row(simd, &rows[row..], first_term, &chunk, chains),
                    Terms::ByTerm(terms) => tall_by_term(simd, &terms[first_term..end], row, &chunk, chains),
                }
                add_chains(simd, chains, sums, n_sums);
            } else {
                let chains = &mut [[0.0; PANEL]; LOW];
                match terms {
                    Terms::ByRow(rows) => low_by_row(simd, &rows[row..], first_term, &chunk, chains),
                    Terms::ByTerm(terms) => low_by_term(simd, &terms[first_term..end], row, &chunk, chains),
                }
                add_chains(simd, chains, sums, n_sums);
            }
        }
    }
}

simd_fn! {
    fn tall_by_row(
        rows: &[[f32; ROW]],
        first_term: usize,
        chunk: &Factors<'_>,
        chains: &mut [[f32; PANEL]; TALL],
    ) = chain_by_row::<TALL>;
}

simd_fn! {
    fn low_by_row(
        rows: &[[f32; ROW]],
        first_term: usize,
        chunk: &Factors<'_>,
        chains: &mut [[f32; PANEL]; LOW],
    ) = chain_by_row::<LOW>;
}

simd_fn! {
    fn tall_by_term(
        terms: &[[f32; PIXELS]],
        row: usize,
        chunk: &Factors<'_>,
        chains: &mut [[f32; PANEL]; TALL],
    ) = chain_by_term::<TALL>;
}

simd_fn! {
    fn low_by_term(
        terms: &[[f32; PIXELS]],
        row: usize,
        chunk: &Factors<'_>,
        chains: &mut [[f32; PANEL]; LOW],
    ) = chain_by_term::<LOW>;
}

#[inline(always)]
fn chain_by_row<const R: usize>(
    rows: &[[f32; ROW]],
    first_term: usize,
    chunk: &Factors<'_>,
    out: &mut [[f32; PANEL]; R],
) {
    let rows: &[[f32; ROW]; R] = first(rows);
    // Not the caller's own: these stay in registers.
    let mut chains = [[0.0_f32; PANEL]; R];
    let terms = first_term..ROW.min(first_term + chunk.n_terms);
    for (t, factor) in terms.zip(chunk.values.chunks(chunk.stride)) {
        let factor: &[f32; PANEL] = first(factor);
        each_row!(r < R, {
            let (term, chain) = (rows[r][t], &mut chains[r]);
            for l in 0..PANEL {
                chain[l] = term.mul_add(factor[l], chain[l]);
            }
        });
    }
    *out = chains;
}

#[inline(always)]
fn chain_by_term<const R: usize>(
    terms: &[[f32; PIXELS]],
    row: usize,
    chunk: &Factors<'_>,
    out: &mut [[f32; PANEL]; R],
) {
    // Not the caller's own: these stay in registers.
    let mut chains = [[0.0_f32; PANEL]; R];
    for (term, factor) in terms.iter().zip(chunk.values.chunks(chunk.stride)) {
        let (term, factor): (&[f32; R], &[f32; PANEL]) = (first(&term[row..]), first(factor));
        each_row!(r < R, {
            let (term, chain) = (term[r], &mut chains[r]);
            for l in 0..PANEL {
                chain[l] = term.mul_add(factor[l], chain[l]);
            }
        });
    }
    *out = chains;
}

simd_fn! {
    fn add_chains(chains: &[[f32; PANEL]], sums: &mut [f64], n_sums: usize) = add_chains_body;
}

#[inline(always)]
fn add_chains_body(chains: &[[f32; PANEL]], sums: &mut [f64], n_sums: usize) {
    for (sums, chain) in sums.chunks_mut(n_sums).zip(chains) {
        let sums = &mut sums[..PANEL];
        for l in 0..PANEL {
            sums[l] += f64::from(chain[l]);
        }
    }
}

/// The first N of some numbers.
#[inline(always)]
fn first<T, const N: usize>(values: &[T]) -> &[T; N] {
    let Some(first) = values.first_chunk() else { panic!("fewer than {N} numbers are left") };
    first
}

/// Products d_ti·d_tj of the pairs from `first` on; lanes without a pair hold products of no meaning.
fn pack_products(simd: Simd, design: &Design, span: &Range<usize>, first: usize, panel: &mut [f32]) {
    let terms = &design.values[span.start * design.stride..span.end * design.stride];
    let end = n_pairs(design.n_components).min(first + PANEL);
    let (mut i, mut pair) = (0, first);
    while n_pairs(i + 1) <= pair {
        i += 1;
    }
    while pair < end {
        let run = Run { stride: design.stride, i, j: pair - n_pairs(i) };
        pack_run(simd, terms, &run, &mut panel[pair - first..]);
        i += 1;
        pair = n_pairs(i);
    }
}

/// Products of d_ti with d_tj and the components after it.
struct Run {
    stride: usize,
    i: usize,
    j: usize,
}

simd_fn! {
    fn pack_run(terms: &[f32], run: &Run, panel: &mut [f32]) = pack_run_body;
}

/// A whole panel's width of products; the next run overwrites what lies beyond j = i.
#[inline(always)]
fn pack_run_body(terms: &[f32], run: &Run, panel: &mut [f32]) {
    for (term, lanes) in terms.chunks_exact(run.stride).zip(panel.chunks_mut(PANEL_STRIDE)) {
        let (own, others): (f32, &[f32; PANEL]) = (term[run.i], first(&term[run.j..]));
        let lanes = &mut lanes[..PANEL];
        for l in 0..PANEL {
            lanes[l] = own * others[l];
        }
    }
}
