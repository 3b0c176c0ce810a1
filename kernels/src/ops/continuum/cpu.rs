//! The CPU twin.

use rayon::prelude::*;

use super::{Continuum, check, half_width};
use crate::band::Row;
use crate::{Cpu, Grid, KernelError, SpectraBatch};

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
                Ranks::default,
                |ranks, ((flux_p, valid_p), &(s, z))| {
                    let row = Row::of(&observed.flux_sp, &observed.ivar_sp, n, s);
                    let half = half_width(grid, width_aa, z);
                    ranks.rank(&row);
                    slide(ranks, half, flux_p, valid_p);
                },
            );
        });
    }
    Ok(Continuum { n_spectra: rows.len(), n_pixels: n, flux_sp, valid_sp })
}

/// Moves the window along the spectrum, pixel by pixel.
fn slide(ranks: &mut Ranks, half: usize, flux_p: &mut [f32], valid_p: &mut [u8]) {
    let n = flux_p.len();
    for p in 0..half.min(n) {
        ranks.insert(p);
    }
    for p in 0..n {
        if p + half < n {
            ranks.insert(p + half);
        }
        if p > half {
            ranks.remove(p - half - 1);
        }
        let in_window = (p + half + 1).min(n) - p.saturating_sub(half);
        if ranks.count > 0 && 2 * ranks.count >= in_window {
            flux_p[p] = ranks.median();
            valid_p[p] = 1;
        }
    }
}

/// No rank: the pixel is missing.
const MISSING: u32 = u32::MAX;

/// A set of ranks among one spectrum's good pixels, with a finger on its lower median.
#[derive(Debug, Default)]
struct Ranks {
    /// Sort key and pixel of each good pixel, ascending.
    sorted_r: Vec<u64>,
    /// Scratch of the sort.
    spare_r: Vec<u64>,
    /// Flux by rank.
    flux_r: Vec<f32>,
    /// Rank by pixel, or [`MISSING`].
    rank_p: Vec<u32>,
    /// One bit per rank: in the window.
    members: Vec<u64>,
    /// Members in all.
    count: usize,
    /// A member, if there are any.
    finger: usize,
    /// Members below the finger.
    below: usize,
}

impl Ranks {
    /// Ranks the good pixels of a spectrum (equal fluxes by pixel) and empties the set.
    fn rank(&mut self, row: &Row) {
        self.sorted_r.clear();
        for (p, pixel) in (0..row.flux_p.len()).zip(0_u32..) {
            if row.good(p).is_some() {
                self.sorted_r.push(u64::from(sort_key(row.flux_p[p])) << 32 | u64::from(pixel));
            }
        }
        sort_by_upper_half(&mut self.sorted_r, &mut self.spare_r);
        self.flux_r.clear();
        self.rank_p.clear();
        self.rank_p.resize(row.flux_p.len(), MISSING);
        for (rank, entry) in (0_u32..).zip(&self.sorted_r) {
            let pixel = index(entry & u64::from(u32::MAX));
            self.rank_p[pixel] = rank;
            self.flux_r.push(row.flux_p[pixel] + 0.0); // −0 + 0 = +0
        }
        self.members.clear();
        self.members.resize(self.flux_r.len().div_ceil(64), 0);
        (self.count, self.finger, self.below) = (0, 0, 0);
    }

    /// Adds pixel p if it is good.
    fn insert(&mut self, p: usize) {
        let rank = self.rank_p[p];
        if rank == MISSING {
            return;
        }
        let rank = index(u64::from(rank));
        self.members[rank / 64] |= 1 << (rank % 64);
        if self.count == 0 {
            (self.finger, self.below) = (rank, 0);
        }
        self.below += usize::from(rank < self.finger);
        self.count += 1;
    }

    /// Takes pixel p out if it is good.
    fn remove(&mut self, p: usize) {
        let rank = self.rank_p[p];
        if rank == MISSING {
            return;
        }
        let rank = index(u64::from(rank));
        self.members[rank / 64] &= !(1 << (rank % 64));
        self.count -= 1;
        self.below -= usize::from(rank < self.finger);
        if rank == self.finger && self.count > 0 {
            if self.below < self.count {
                self.finger = self.next(rank);
            } else {
                self.finger = self.previous(rank);
                self.below -= 1;
            }
        }
    }

    /// The median of the members, of which there must be some.
    fn median(&mut self) -> f32 {
        let lower = (self.count - 1) / 2;
        while self.below < lower {
            self.finger = self.next(self.finger);
            self.below += 1;
        }
        while self.below > lower {
            self.finger = self.previous(self.finger);
            self.below -= 1;
        }
        let low = self.flux_r[self.finger];
        if self.count % 2 == 1 { low } else { 0.5 * low + 0.5 * self.flux_r[self.next(self.finger)] }
    }

    /// The smallest member above `rank`, which must exist.
    fn next(&self, rank: usize) -> usize {
        let mut word = rank / 64;
        // Shifted twice so that rank % 64 = 63 leaves nothing.
        let mut bits = self.members[word] & (u64::MAX << (rank % 64) << 1);
        while bits == 0 {
            word += 1;
            bits = self.members[word];
        }
        64 * word + index(u64::from(bits.trailing_zeros()))
    }

    /// The largest member below `rank`, which must exist.
    fn previous(&self, rank: usize) -> usize {
        let mut word = rank / 64;
        let mut bits = self.members[word] & !(u64::MAX << (rank % 64));
        while bits == 0 {
            word -= 1;
            bits = self.members[word];
        }
        64 * word + 63 - index(u64::from(bits.leading_zeros()))
    }
}

/// Unsigned integers in the order of the floats, −0 as +0.
fn sort_key(flux: f32) -> u32 {
    let bits = (flux + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// Stable radix sort by the upper 32 bits, in three passes of 11 bits.
fn sort_by_upper_half(entries: &mut Vec<u64>, spare: &mut Vec<u64>) {
    const DIGITS: usize = 1 << 11;
    let digit = |entry: u64, pass: usize| index(entry >> (32 + 11 * pass)) % DIGITS;
    let mut starts = [[0_usize; DIGITS]; 3];
    for &entry in entries.iter() {
        for (pass, counts) in starts.iter_mut().enumerate() {
            counts[digit(entry, pass)] += 1;
        }
    }
    spare.clear();
    spare.resize(entries.len(), 0);
    for (pass, counts) in starts.iter_mut().enumerate() {
        let mut total = 0;
        for count in counts.iter_mut() {
            total += std::mem::replace(count, total);
        }
        for &entry in entries.iter() {
            let place = &mut counts[digit(entry, pass)];
            spare[*place] = entry;
            *place += 1;
        }
        std::mem::swap(entries, spare);
    }
}

/// A 32-bit number as an index.
#[expect(clippy::cast_possible_truncation, reason = "ranks and pixels are below 2^32")]
fn index(number: u64) -> usize {
    number as usize
}
