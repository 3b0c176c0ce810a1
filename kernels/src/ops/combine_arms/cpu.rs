//! CPU body: runs of one arm are vector selects, runs of several a short loop over arms.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{MaskRule, Run, check_shapes, runs, used_arms};
use crate::simd::{Simd, is_good, keep_if, simd_fn};
use crate::{ArmSpectra, Cpu, Grid, KernelError, SpectraBatch};

/// Shared pixels gathered at once.
const BLOCK: usize = 16;

/// One arm's pixels of one run: same length each.
#[derive(Clone, Copy)]
struct Pixels<'a> {
    flux_p: &'a [f32],
    ivar_p: &'a [f32],
    mask_p: &'a [u32],
}

/// The output pixels of one run, or of one row: written once, never read.
struct Combined<'a> {
    flux_p: &'a mut [MaybeUninit<f32>],
    ivar_p: &'a mut [MaybeUninit<f32>],
    mask_p: &'a mut [MaybeUninit<u32>],
}

pub(crate) fn combine(
    dev: &Cpu,
    arms: &ArmSpectra<Cpu>,
    grid: &Grid,
    rule: MaskRule,
) -> Result<SpectraBatch<Cpu>, KernelError> {
    let lengths = |a: usize| [arms.flux_asp[a].len(), arms.ivar_asp[a].len(), arms.mask_asp[a].len()];
    check_shapes(arms.n_spectra, &arms.layout_a, arms.fiberstatus_s.len(), [0, 1, 2].map(lengths))?;
    let (n_spectra, n_pixels) = (arms.n_spectra, grid.n_pixels);
    let runs = runs(&arms.layout_a, n_pixels)?;
    let n = n_spectra * n_pixels;
    // Zeros that every row overwrites would cost as much as the row.
    let (mut flux_sp, mut ivar_sp) = (Box::new_uninit_slice(n), Box::new_uninit_slice(n));
    let mut mask_sp = Box::new_uninit_slice(n);
    let row_len = n_pixels.max(1);
    dev.pool().install(|| {
        flux_sp
            .par_chunks_mut(row_len)
            .zip(ivar_sp.par_chunks_mut(row_len))
            .zip(mask_sp.par_chunks_mut(row_len))
            .enumerate()
            .for_each(|(s, ((flux_p, ivar_p), mask_p))| {
                combine_row(dev.simd(), arms, s, &runs, rule, Combined { flux_p, ivar_p, mask_p });
            });
    });
    Ok(SpectraBatch {
        n_spectra,
        n_pixels,
        // SAFETY: the runs cover the grid, and each wrote all of its pixels in every row.
        flux_sp: unsafe { flux_sp.assume_init() }.into_vec(),
        // SAFETY: as above.
        ivar_sp: unsafe { ivar_sp.assume_init() }.into_vec(),
        // SAFETY: as above.
        mask_sp: unsafe { mask_sp.assume_init() }.into_vec(),
    })
}

fn combine_row(
    simd: Simd,
    arms: &ArmSpectra<Cpu>,
    s: usize,
    runs: &[Run],
    rule: MaskRule,
    out: Combined<'_>,
) {
    let used = used_arms(rule, arms.fiberstatus_s[s]);
    for run in runs {
        let part = Combined {
            flux_p: &mut out.flux_p[run.start..run.end],
            ivar_p: &mut out.ivar_p[run.start..run.end],
            mask_p: &mut out.mask_p[run.start..run.end],
        };
        let mut inputs = [None; 3];
        for a in (0..3).filter(|&a| used[a] && run.covered_by[a]) {
            inputs[a] = Some(pixels(arms, a, s, run));
        }
        match (inputs, run.covered_by.iter().filter(|&&c| c).count()) {
            ([None, None, None], _) => leave_missing(part),
            ([Some(arm), None, None] | [None, Some(arm), None] | [None, None, Some(arm)], 1) => {
                copy_run(simd, rule, arm, part);
            }
            (inputs, _) => add_runs(simd, rule, inputs, part),
        }
    }
}

fn leave_missing(out: Combined<'_>) {
    out.flux_p.fill(MaybeUninit::new(0.0));
    out.ivar_p.fill(MaybeUninit::new(0.0));
    out.mask_p.fill(MaybeUninit::new(0));
}

fn pixels<'a>(arms: &'a ArmSpectra<Cpu>, a: usize, s: usize, run: &Run) -> Pixels<'a> {
    let (first, n) = arms.layout_a[a];
    let range = s * n + run.start - first..s * n + run.end - first;
    Pixels {
        flux_p: &arms.flux_asp[a][range.clone()],
        ivar_p: &arms.ivar_asp[a][range.clone()],
        mask_p: &arms.mask_asp[a][range],
    }
}

simd_fn! {
    fn copy_run(rule: MaskRule, arm: Pixels<'_>, out: Combined<'_>) = copy_run_body;
}

simd_fn! {
    fn add_runs(rule: MaskRule, arms: [Option<Pixels<'_>>; 3], out: Combined<'_>) = add_runs_body;
}

/// The pixel's flux and ivar, (0, 0) where it does not count.
#[inline(always)]
fn admit(flux: f32, ivar: f32) -> (f32, f32) {
    let good = is_good(flux, ivar);
    (keep_if(good, flux), keep_if(good, ivar))
}

#[inline(always)]
fn copy_run_body(rule: MaskRule, arm: Pixels<'_>, out: Combined<'_>) {
    match rule {
        MaskRule::Dr1 => copy_run_by(arm, out, |flux, ivar, mask| {
            let (flux, ivar) = admit(flux, ivar);
            (keep_if(mask == 0, flux), keep_if(mask == 0, ivar), mask)
        }),
        // A masked pixel of one arm is an output pixel whose every input is masked: it keeps its ivar.
        MaskRule::Masked => copy_run_by(arm, out, |flux, ivar, mask| {
            let (flux, ivar) = admit(flux, ivar);
            (flux, ivar, mask)
        }),
        MaskRule::V070 => copy_run_by(arm, out, |flux, ivar, mask| {
            let (_, ivar) = admit(flux, ivar);
            (keep_if(flux.is_finite(), flux), ivar, if ivar > 0.0 { 0 } else { mask })
        }),
    }
}

#[inline(always)]
fn copy_run_by(arm: Pixels<'_>, out: Combined<'_>, pixel: impl Fn(f32, f32, u32) -> (f32, f32, u32)) {
    let n = out.flux_p.len();
    let (flux_p, ivar_p, mask_p) = (&arm.flux_p[..n], &arm.ivar_p[..n], &arm.mask_p[..n]);
    let (out_flux_p, out_ivar_p, out_mask_p) = (out.flux_p, &mut out.ivar_p[..n], &mut out.mask_p[..n]);
    for p in 0..n {
        let (flux, ivar, mask) = pixel(flux_p[p], ivar_p[p], mask_p[p]);
        out_flux_p[p].write(flux);
        out_ivar_p[p].write(ivar);
        out_mask_p[p].write(mask);
    }
}

#[inline(always)]
fn add_runs_body(rule: MaskRule, arms: [Option<Pixels<'_>>; 3], out: Combined<'_>) {
    match rule {
        MaskRule::Dr1 => add_runs_by(arms, out, |pixel| pixel.weigh(pixel.unmasked_ivar_a, 0)),
        MaskRule::Masked => add_runs_by(arms, out, |pixel| {
            let [b, r, z] = pixel.unmasked_ivar_a;
            let all_masked = (b == 0.0) & (r == 0.0) & (z == 0.0);
            let w_a = if all_masked { pixel.ivar_a } else { pixel.unmasked_ivar_a };
            pixel.weigh(w_a, if all_masked { pixel.mask_or } else { 0 })
        }),
        MaskRule::V070 => add_runs_by(arms, out, |pixel| {
            let (flux, ivar, mask) = pixel.weigh(pixel.ivar_a, pixel.mask_or);
            (flux, ivar, if ivar > 0.0 { 0 } else { mask })
        }),
    }
}

/// The arms' values at one pixel of the combined grid; an arm that is not there weighs 0.
#[derive(Clone, Copy, Default)]
struct SharedPixel {
    flux_a: [f32; 3],
    ivar_a: [f32; 3],
    unmasked_ivar_a: [f32; 3],
    mask_or: u32,
}

/// A block of one arm's pixels, zeros after the last.
#[derive(Clone, Copy, Default)]
struct Block {
    flux_l: [f32; BLOCK],
    ivar_l: [f32; BLOCK],
    mask_l: [u32; BLOCK],
}

#[inline(always)]
fn add_runs_by(
    arms: [Option<Pixels<'_>>; 3],
    out: Combined<'_>,
    combine: impl Fn(&SharedPixel) -> (f32, f32, u32),
) {
    let n = out.flux_p.len();
    for start in (0..n).step_by(BLOCK) {
        let arms = arms.map(|arm| arm.map_or_else(Block::default, |arm| arm.block(start)));
        let mut block = Block::default();
        for l in 0..BLOCK {
            let mut pixel = SharedPixel::default();
            for (a, arm) in arms.iter().enumerate() {
                pixel.admit(a, arm.flux_l[l], arm.ivar_l[l], arm.mask_l[l]);
            }
            (block.flux_l[l], block.ivar_l[l], block.mask_l[l]) = combine(&pixel);
        }
        let pixels = start..n.min(start + BLOCK);
        out.flux_p[pixels.clone()].write_copy_of_slice(&block.flux_l[..pixels.len()]);
        out.ivar_p[pixels.clone()].write_copy_of_slice(&block.ivar_l[..pixels.len()]);
        out.mask_p[pixels.clone()].write_copy_of_slice(&block.mask_l[..pixels.len()]);
    }
}

impl Pixels<'_> {
    #[inline(always)]
    fn block(&self, start: usize) -> Block {
        Block {
            flux_l: block(self.flux_p, start),
            ivar_l: block(self.ivar_p, start),
            mask_l: block(self.mask_p, start),
        }
    }
}

/// The numbers from `start` on, zeros after the last.
#[inline(always)]
fn block<T: Copy + Default>(values: &[T], start: usize) -> [T; BLOCK] {
    let rest = &values[start..];
    if let Some(whole) = rest.first_chunk() {
        return *whole;
    }
    let mut block = [T::default(); BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

impl SharedPixel {
    #[inline(always)]
    fn admit(&mut self, a: usize, flux: f32, ivar: f32, mask: u32) {
        let (flux, ivar) = admit(flux, ivar);
        self.flux_a[a] = flux;
        self.ivar_a[a] = ivar;
        self.unmasked_ivar_a[a] = keep_if(mask == 0, ivar);
        self.mask_or |= mask;
    }

    #[inline(always)]
    fn weigh(&self, w_a: [f32; 3], mask: u32) -> (f32, f32, u32) {
        let sum = w_a[0] + w_a[1] + w_a[2];
        let f_a = self.flux_a;
        let flux = w_a[0] / sum * f_a[0] + w_a[1] / sum * f_a[1] + w_a[2] / sum * f_a[2];
        // Not good for sum = 0 (0/0) and for overflows.
        let good = is_good(flux, sum);
        (keep_if(good, flux), keep_if(good, sum), mask)
    }
}
