//! The CPU twin.

use std::ops::Range;

use rayon::prelude::*;

use super::{Continuum, check, half_width};
use crate::band::Row;
use crate::lanes::LANES;
use crate::simd::{Simd, is_good, simd_fn};
use crate::{Cpu, Grid, KernelError, SpectraBatch};

/// Fewest outputs of a block, and half widths that it has otherwise: the window's margins are ranked once
/// more in the next block, and the more pixels are ranked together, the fewer of a word are in the window.
const BLOCK: usize = 1024;
const HALVES: usize = 6;

/// See the module's head.
pub(crate) fn running_median(
    cpu: &Cpu,
    observed: &SpectraBatch<Cpu>,
    grid: &Grid,
    rows: &[(usize, f64)],
    width_aa: f64,
) -> Result<Continuum<Cpu>, KernelError> {
    check(observed, [observed.flux_sp.len(), observed.ivar_sp.len()], grid, rows, width_aa)?;
    let n = grid.n_pixels;
    let mut flux_sp = vec![0.0; rows.len() * n];
    let mut valid_sp = vec![0; rows.len() * n];
    if !flux_sp.is_empty() {
        cpu.pool().install(|| {
            flux_sp.par_chunks_mut(n).zip(valid_sp.par_chunks_mut(n)).zip(rows).for_each_init(
                || (Ranks::default(), Vec::new()),
                |(ranks, words), ((flux_p, valid_p), &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, n, s);
                    let half = half_width(grid, width_aa, z);
                    let block = BLOCK.max(HALVES * half);
                    let outputs = flux_p.chunks_mut(block).zip(valid_p.chunks_mut(block));
                    for (start, (flux_p, valid_p)) in (0..n).step_by(block).zip(outputs) {
                        ranks.rank(cpu.simd(), &row, start..start + flux_p.len(), half);
                        slide(cpu.simd(), ranks, words, half, (flux_p, valid_p));
                    }
                },
            );
        });
    }
    Ok(Continuum { n_spectra: rows.len(), n_pixels: n, flux_sp, valid_sp })
}

simd_fn! {
    fn slide(ranks: &Ranks, words: &mut Vec<u64>, half: usize, out: (&mut [f32], &mut [u8])) = slide_body;
}

/// Moves the window along a block of outputs, pixel by pixel.
#[inline(always)]
fn slide_body(ranks: &Ranks, words: &mut Vec<u64>, half: usize, (flux_p, valid_p): (&mut [f32], &mut [u8])) {
    let n = ranks.pixel_r.len();
    words.clear();
    words.resize(n / 64 + 1, 0);
    let mut members =
        Members { words, n_good: ranks.n_good, n, good: 0, all: 0, finger: 0, word: 0, below: 0 };
    let (before, entering) = ranks.rank_q.split_at(2 * half + 1);
    for &rank in before {
        members.insert(rank as usize);
    }
    members.start();
    let pixels = entering.iter().zip(&ranks.rank_q).zip(flux_p.iter_mut().zip(valid_p));
    for ((&entering, &leaving), (flux, valid)) in pixels {
        members.insert(entering as usize);
        members.remove(leaving as usize);
        if members.good == 0 {
            continue;
        }
        members.step();
        if 2 * members.good >= members.all {
            let low = ranks.flux_r[members.finger];
            let is_odd = members.good % 2 == 1;
            *flux = if is_odd { low } else { 0.5 * low + 0.5 * ranks.flux_r[members.next()] };
            *valid = 1;
        }
    }
}

/// The order of a block's pixels: the good ones by flux, then the missing ones.
#[derive(Debug, Default)]
struct Ranks {
    /// Flux by pixel of the block, infinite where it is missing.
    flux_q: Vec<f32>,
    /// Flux by pixel, in steps of the block's range.
    level_q: Vec<u32>,
    /// Scratch of the sort.
    spare_r: Vec<u32>,
    /// Pixel by rank, counted as in `rank_q`.
    pixel_r: Vec<u32>,
    /// Flux by rank.
    flux_r: Vec<f32>,
    /// Rank by pixel, from the one that leaves the first window on; the number of ranks beyond the ends of
    /// the spectrum.
    rank_q: Vec<u32>,
    /// Good pixels.
    n_good: usize,
}

/// Levels of a block's range, by two digits.
const DIGIT_BITS: u32 = 9;
const DIGITS: usize = 1 << DIGIT_BITS;
const TOP_LEVEL: u32 = (1 << (2 * DIGIT_BITS)) - 1;

/// Places that an element may move on average before the sort starts afresh.
const PATIENCE: usize = 8;

impl Ranks {
    /// Ranks the pixels in the windows of some of a spectrum's.
    fn rank(&mut self, simd: Simd, row: &Row, outputs: Range<usize>, half: usize) {
        let pixels = outputs.start.saturating_sub(half)..row.flux_p.len().min(outputs.end + half);
        let n = pixels.len();
        for numbers in [&mut self.level_q, &mut self.spare_r, &mut self.pixel_r] {
            numbers.resize(n, 0);
        }
        self.flux_q.resize(n, 0.0);
        self.flux_r.resize(n, 0.0);
        self.rank_q.clear();
        self.rank_q.resize(outputs.len() + 2 * half + 1, number(n));
        let before = half + 1 - (outputs.start - pixels.start);
        let (flux_p, ivar_p) = (&row.flux_p[pixels.clone()], &row.ivar_p[pixels]);
        self.n_good = set_levels(simd, flux_p, ivar_p, &mut self.flux_q, &mut self.level_q);
        self.sort_by_level(before);
        self.sort_within_levels(simd, before);
    }

    /// Radix sort by the levels; `before` pixels stand before the first in `rank_q`.
    fn sort_by_level(&mut self, before: usize) {
        let digit = |level: u32, pass: u32| (level >> (pass * DIGIT_BITS)) as usize % DIGITS;
        let mut starts = [[0_u32; DIGITS]; 2];
        let [low, high] = &mut starts;
        for &level in &self.level_q {
            low[digit(level, 0)] += 1;
            high[digit(level, 1)] += 1;
        }
        for counts in [&mut *low, &mut *high] {
            let mut total = 0;
            for count in counts {
                total += std::mem::replace(count, total);
            }
        }
        for (q, &level) in (0..).zip(&self.level_q) {
            let place = &mut low[digit(level, 0)];
            self.spare_r[*place as usize] = q;
            *place += 1;
        }
        let rank_q = &mut self.rank_q[before..];
        for &pixel in &self.spare_r {
            let q = pixel as usize;
            let place = &mut high[digit(self.level_q[q], 1)];
            rank_q[q] = *place;
            self.flux_r[*place as usize] = self.flux_q[q];
            self.pixel_r[*place as usize] = pixel;
            *place += 1;
        }
    }

    /// Insertion sort of what the levels left: little, unless a few pixels stretch the range.
    fn sort_within_levels(&mut self, simd: Simd, before: usize) {
        let mut patience = PATIENCE * self.pixel_r.len();
        let mut rank = 1;
        while rank < self.flux_r.len() {
            rank += count_ascending(simd, &self.flux_r[rank - 1..]);
            let end = self.flux_r.len().min(rank + LANES);
            for rank in rank..end {
                patience = patience.saturating_sub(self.insert(rank, before));
            }
            if patience == 0 {
                return self.sort_afresh(before);
            }
            rank = end;
        }
    }

    /// Moves an element down to its place among those before it, and gives how far.
    fn insert(&mut self, rank: usize, before: usize) -> usize {
        let (flux, pixel) = (self.flux_r[rank], self.pixel_r[rank]);
        let rank_q = &mut self.rank_q[before..];
        let mut place = rank;
        while place > 0 && self.flux_r[place - 1] > flux {
            self.flux_r[place] = self.flux_r[place - 1];
            self.pixel_r[place] = self.pixel_r[place - 1];
            rank_q[self.pixel_r[place] as usize] += 1;
            place -= 1;
        }
        self.flux_r[place] = flux;
        self.pixel_r[place] = pixel;
        rank_q[pixel as usize] = number(place);
        rank - place
    }

    /// Sort by comparison.
    fn sort_afresh(&mut self, before: usize) {
        let flux_q = &self.flux_q;
        self.pixel_r.sort_unstable_by(|&a, &b| flux_q[a as usize].total_cmp(&flux_q[b as usize]));
        for (rank, (&pixel, flux)) in (0..).zip(self.pixel_r.iter().zip(&mut self.flux_r)) {
            let q = pixel as usize;
            *flux = flux_q[q];
            self.rank_q[before + q] = rank;
        }
    }
}

simd_fn! {
    fn count_ascending(flux_r: &[f32]) -> usize = count_ascending_body;
}

/// How many elements, by whole blocks, are not below the ones before them.
#[inline(always)]
fn count_ascending_body(flux_r: &[f32]) -> usize {
    let (blocks, mut n) = (flux_r.windows(LANES + 1).step_by(LANES), 0);
    for block in blocks {
        let mut is_ascending = true;
        for l in 0..LANES {
            is_ascending &= block[l] <= block[l + 1];
        }
        if !is_ascending {
            break;
        }
        n += LANES;
    }
    n
}

simd_fn! {
    fn set_levels(
        flux_p: &[f32],
        ivar_p: &[f32],
        flux_q: &mut [f32],
        level_q: &mut [u32],
    ) -> usize = set_levels_body;
}

/// Sets fluxes (−0 as +0) and levels, and counts the good pixels.
#[inline(always)]
fn set_levels_body(flux_p: &[f32], ivar_p: &[f32], flux_q: &mut [f32], level_q: &mut [u32]) -> usize {
    let n = flux_p.len();
    let (ivar_p, flux_q, level_q) = (&ivar_p[..n], &mut flux_q[..n], &mut level_q[..n]);
    let mut n_good = 0;
    for q in 0..n {
        let good = is_good(flux_p[q], ivar_p[q]);
        flux_q[q] = if good { flux_p[q] + 0.0 } else { f32::INFINITY };
        n_good += u32::from(good);
    }
    let (lowest, highest) = range_of(flux_q);
    // A range that is 0 or beyond f32 gives levels without meaning: the second sort mends them.
    let per_level = (TOP_LEVEL - 1) as f32 / (highest - lowest);
    for q in 0..n {
        let level = (flux_q[q] - lowest) * per_level;
        let level = if level < (TOP_LEVEL - 1) as f32 { level } else { (TOP_LEVEL - 1) as f32 };
        // At 2^23 the last bit of an f32 is a unit.
        let level = (level + (1 << 23) as f32).to_bits() & TOP_LEVEL;
        level_q[q] = if flux_q[q] == f32::INFINITY { TOP_LEVEL } else { level };
    }
    n_good as usize
}

/// The smallest and largest finite flux.
#[inline(always)]
fn range_of(flux_q: &[f32]) -> (f32, f32) {
    let (mut lowest_l, mut highest_l) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let mut widen = |l: usize, flux: f32| {
        let (low, high) = (&mut lowest_l[l], &mut highest_l[l]);
        *low = if flux < *low { flux } else { *low };
        *high = if flux > *high && flux < f32::INFINITY { flux } else { *high };
    };
    let (blocks, rest) = flux_q.as_chunks::<LANES>();
    for block in blocks {
        for (l, &flux) in block.iter().enumerate() {
            widen(l, flux);
        }
    }
    for (l, &flux) in rest.iter().enumerate() {
        widen(l, flux);
    }
    let lowest = lowest_l.into_iter().fold(f32::INFINITY, f32::min);
    (lowest, highest_l.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

/// The ranks in the window, with a finger on the lower median of the good ones.
struct Members<'a> {
    /// One bit per rank: in the window.
    words: &'a mut [u64],
    /// Ranks below this one are those of good pixels.
    n_good: usize,
    /// Ranks below this one are those of pixels.
    n: usize,
    /// Members that are good pixels.
    good: usize,
    /// Members that are pixels.
    all: usize,
    /// A rank that is not beyond the good ones.
    finger: usize,
    /// Its word, which seldom changes: what is read of it need not wait for the finger.
    word: usize,
    /// Members below the finger.
    below: usize,
}

impl Members<'_> {
    /// Adds a rank.
    #[inline(always)]
    fn insert(&mut self, rank: usize) {
        self.words[rank / 64] |= 1 << (rank % 64);
        self.good += usize::from(rank < self.n_good);
        self.all += usize::from(rank < self.n);
        self.below += usize::from(rank < self.finger);
    }

    /// Takes a rank out.
    #[inline(always)]
    fn remove(&mut self, rank: usize) {
        self.words[rank / 64] &= !(1 << (rank % 64));
        self.good -= usize::from(rank < self.n_good);
        self.all -= usize::from(rank < self.n);
        self.below -= usize::from(rank < self.finger);
    }

    /// Puts the finger on the median, if there is one.
    fn start(&mut self) {
        if self.good > 0 {
            self.walk();
        }
    }

    /// Moves the finger to the median, from where it was before one rank came and one went: to the nearest
    /// member on either side, mostly in the same word, which is found without a branch.
    #[inline(always)]
    fn step(&mut self) {
        let lower = (self.good - 1) / 2;
        let (bits, place) = (self.words[self.word], self.finger % 64);
        let (from, before) = (bits >> place, bits << 1 << (63 - place));
        let from = if lower > self.below { from & from.wrapping_sub(1) } else { from };
        let after = self.finger + from.trailing_zeros() as usize;
        let ahead = self.finger.wrapping_sub(1 + before.leading_zeros() as usize);
        let (found, bits) = if lower < self.below { (ahead, before) } else { (after, from) };
        if bits == 0 {
            return self.walk();
        }
        (self.finger, self.below) = (found, lower);
    }

    /// Moves the finger to the median, however far.
    #[inline(always)]
    fn walk(&mut self) {
        let lower = (self.good - 1) / 2;
        self.finger = walk(self.words, self.finger, self.below, lower);
        (self.word, self.below) = (self.finger / 64, lower);
    }

    /// The smallest member above the finger, which must exist.
    #[inline(always)]
    fn next(&self) -> usize {
        let mut word = self.word;
        // Shifted twice so that 63 leaves nothing.
        let mut bits = self.words[word] & (u64::MAX << (self.finger % 64) << 1);
        while bits == 0 {
            word += 1;
            bits = self.words[word];
        }
        64 * word + bits.trailing_zeros() as usize
    }
}

/// One number `k` of `words`, however far from `finger`, with `below` ones below it.
#[cold]
fn walk(words: &[u64], finger: usize, below: usize, k: usize) -> usize {
    let mut word = finger / 64;
    let mut below = below - ones(words[word] & !(u64::MAX << (finger % 64)));
    while k < below {
        word -= 1;
        below -= ones(words[word]);
    }
    while below + ones(words[word]) <= k {
        below += ones(words[word]);
        word += 1;
    }
    let mut bits = words[word];
    for _ in below..k {
        bits &= bits - 1;
    }
    64 * word + bits.trailing_zeros() as usize
}

/// Number of ones.
fn ones(bits: u64) -> usize {
    bits.count_ones() as usize
}

/// A pixel's number, or a rank.
#[expect(clippy::cast_possible_truncation, reason = "a grid has fewer than 2^32 pixels")]
fn number(n: usize) -> u32 {
    n as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorts every window.
    fn by_definition(flux_p: &[f32], ivar_p: &[f32], half: usize) -> (Vec<u32>, Vec<u8>) {
        let n = flux_p.len();
        let median = |p: usize| {
            let window = p.saturating_sub(half)..n.min(p + half + 1);
            let good = window.clone().filter(|&q| is_good(flux_p[q], ivar_p[q]));
            let mut flux_g: Vec<f32> = good.map(|q| flux_p[q] + 0.0).collect();
            flux_g.sort_unstable_by(f32::total_cmp);
            let (lower, upper) = (flux_g.len().saturating_sub(1) / 2, flux_g.len() / 2);
            let is_valid = !flux_g.is_empty() && 2 * flux_g.len() >= window.len();
            is_valid.then(|| {
                let (low, high) = (flux_g[lower], flux_g[upper]);
                if lower == upper { low } else { 0.5 * low + 0.5 * high }
            })
        };
        (0..n).map(median).map(|m| (m.unwrap_or(0.0).to_bits(), u8::from(m.is_some()))).unzip()
    }

    fn assert_is_by_definition(flux_p: &[f32], ivar_p: &[f32], half: usize) {
        let n = flux_p.len();
        let (flux, valid) = by_definition(flux_p, ivar_p, half);
        let grid = Grid { n_pixels: n, ..Grid::DESI };
        let observed: SpectraBatch<Cpu> = SpectraBatch {
            n_spectra: 1,
            n_pixels: n,
            flux_sp: flux_p.to_vec(),
            ivar_sp: ivar_p.to_vec(),
            mask_sp: Vec::new(),
        };
        let width_aa = 2.0 * grid.step_aa * (half as f64 + 0.25);
        for simd in Simd::available() {
            let cpu = Cpu::with_simd(1, simd).unwrap();
            let ours = running_median(&cpu, &observed, &grid, &[(0, 0.0)], width_aa).unwrap();
            assert_eq!(ours.valid_sp, valid, "{simd}, {n} pixels, half {half}");
            let bits: Vec<u32> = ours.flux_sp.iter().map(|f| f.to_bits()).collect();
            assert!(bits == flux, "{simd}, {n} pixels, half {half}");
        }
    }

    /// Uniform numbers from 0 to 1 of a linear congruential generator with Knuth's constants.
    fn uniform(n: usize) -> Vec<f32> {
        let mut word = 1_u64;
        let mut draw = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (word >> 40) as f32 / (1 << 24) as f32
        };
        (0..n).map(|_| draw()).collect()
    }

    #[test]
    fn every_window_is_as_if_sorted() {
        for n in [1, 31, 32, 33, 1023, 1025, 2500] {
            let u = uniform(4 * n);
            let noise: Vec<f32> = u[..n].iter().map(|u| u - 0.5).collect();
            let slope: Vec<f32> = (0_u16..).zip(&noise).map(|(p, x)| f32::from(p) * 0.01 + x).collect();
            let fall: Vec<f32> = slope.iter().map(|x| -x).collect();
            let steps: Vec<f32> = noise.iter().map(|x| (4.0 * x).round()).collect();
            // A range that leaves all but a few in one level, one beyond f32, and one below its normal numbers.
            let mut stretched = noise.clone();
            stretched.iter_mut().step_by(200).for_each(|x| *x *= 1e30);
            let mut beyond = noise.clone();
            beyond.iter_mut().step_by(77).for_each(|x| *x = f32::MAX.copysign(*x));
            let tiny: Vec<f32> = noise.iter().map(|x| x * 1e-44).collect();
            let equal = vec![-0.0; n];
            for flux in [&noise, &slope, &fall, &steps, &stretched, &beyond, &tiny, &equal] {
                for half in [0, 1, 15, 16, 62, 200, 3000] {
                    assert_is_by_definition(flux, &vec![1.0; n], half);
                }
            }
        }
    }

    #[test]
    fn missing_pixels_are_in_no_window() {
        for n in [1, 33, 65, 2500] {
            let u = uniform(4 * n);
            for missing in [0.02, 0.5, 0.98] {
                let ivar = |gap: std::ops::Range<usize>| -> Vec<f32> {
                    let is_missing = |p: usize| gap.contains(&p) || u[n + p] < missing;
                    (0..n).map(|p| if is_missing(p) { 0.0 } else { 1.0 }).collect()
                };
                // Missing pixels hold anything, and good ones may hold no number.
                let mut flux: Vec<f32> = u[..n].iter().map(|u| (9.0 * u).floor() - 4.0).collect();
                flux.iter_mut().step_by(13).for_each(|x| *x = f32::NAN);
                flux.iter_mut().step_by(17).for_each(|x| *x = f32::NEG_INFINITY);
                for gap in [0..0, 0..n / 3, n - n / 3..n, n / 4..n / 2, 0..n] {
                    for half in [0, 1, 31, 32, 300] {
                        assert_is_by_definition(&flux, &ivar(gap.clone()), half);
                    }
                }
            }
        }
    }
}
