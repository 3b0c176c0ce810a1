//! CPU body: per spectrum and arm, values into a reused buffer, then selection.

use rayon::prelude::*;

use super::{SnrRanges, check, per_root_aa};
use crate::simd::{is_good, keep_if, simd_fn};
use crate::{ArmSpectra, Cpu, Grid, KernelError};

pub(crate) fn median_snr(
    dev: &Cpu,
    arms: &ArmSpectra<Cpu>,
    grid: &Grid,
    ranges: &SnrRanges,
) -> Result<Vec<f32>, KernelError> {
    check(arms, [0, 1, 2].map(|a| [arms.flux_asp[a].len(), arms.ivar_asp[a].len()]))?;
    let pixels_a = [0, 1, 2].map(|a| ranges.pixels(grid, a, &arms.layout_a));
    let per_root_aa = per_root_aa(grid);
    let mut snr_sa = vec![0.0; arms.n_spectra * 3];
    dev.pool().install(|| {
        snr_sa.par_chunks_mut(3).enumerate().for_each_init(Vec::new, |key_p: &mut Vec<i64>, (s, snr_a)| {
            for (a, snr) in snr_a.iter_mut().enumerate() {
                let row = s * arms.layout_a[a].1;
                let pixels = row + pixels_a[a].start..row + pixels_a[a].end;
                let (flux_p, ivar_p) = (&arms.flux_asp[a][pixels.clone()], &arms.ivar_asp[a][pixels]);
                key_p.clear();
                key_p.resize(flux_p.len(), 0);
                fill_snr(dev.simd(), flux_p, ivar_p, per_root_aa, key_p);
                *snr = median(key_p);
            }
        });
    });
    Ok(snr_sa)
}

simd_fn! {
    fn fill_snr(flux_p: &[f32], ivar_p: &[f32], per_root_aa: f64, key_p: &mut [i64]) = fill_snr_body;
}

#[inline(always)]
fn fill_snr_body(flux_p: &[f32], ivar_p: &[f32], per_root_aa: f64, key_p: &mut [i64]) {
    let n = key_p.len();
    let (flux_p, ivar_p) = (&flux_p[..n], &ivar_p[..n]);
    for p in 0..n {
        let (flux, ivar) = (flux_p[p], ivar_p[p]);
        // A pixel that does not count is one of flux and ivar 0.
        let good = is_good(flux, ivar);
        let (flux, ivar) = (keep_if(good, flux), keep_if(good, ivar));
        key_p[p] = to_key(f64::from(ivar).sqrt() * f64::from(flux) * per_root_aa);
    }
}

/// An integer that orders as `f64::total_cmp` does; selection compares it faster.
#[inline(always)]
fn to_key(value: f64) -> i64 {
    flip_if_negative(value.to_bits().cast_signed())
}

fn from_key(key: i64) -> f64 {
    f64::from_bits(flip_if_negative(key).cast_unsigned())
}

#[inline(always)]
fn flip_if_negative(bits: i64) -> i64 {
    bits ^ ((bits >> 63) & i64::MAX)
}

/// The median of the values behind `keys`, reordering them; 0 of none.
fn median(keys: &mut [i64]) -> f32 {
    let n = keys.len();
    if n == 0 {
        return 0.0;
    }
    let (below, &mut upper, _) = keys.select_nth_unstable(n / 2);
    let upper_value = from_key(upper);
    let median = if n % 2 == 1 {
        upper_value
    } else {
        (from_key(below.iter().copied().max().unwrap_or(upper)) + upper_value) / 2.0
    };
    #[expect(clippy::cast_possible_truncation, reason = "SCORES stores f32")]
    let median = median as f32;
    // +0 for −0.
    median + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_the_values() {
        let values = [f64::MIN, -1.5, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, 5e-324, 1.0, 1.5, f64::MAX];
        for pair in values.windows(2) {
            assert!(to_key(pair[0]) < to_key(pair[1]), "{pair:?}");
        }
        for value in values {
            assert_eq!(from_key(to_key(value)).to_bits(), value.to_bits());
        }
    }
}
