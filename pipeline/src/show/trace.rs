//! A spectrum made fit for the eye: smoothed, and with limits that one bad pixel cannot move.

use super::gather::Pixels;

/// S/N that smoothing aims at, and the most pixels it takes for it: wider would wash out lines.
const AIM_SNR: f64 = 5.0;
const WIDEST: usize = 15;

/// A smoothed pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Smooth {
    pub(super) flux: f64,
    pub(super) err: f64,
}

/// An odd number of pixels over which to smooth, from the median S/N of the good ones.
pub(super) fn boxcar_width(pixels: &Pixels) -> usize {
    let snr = pixels.flux_p.iter().zip(&pixels.ivar_p).filter(|(_, ivar)| **ivar > 0.0);
    let snr: Vec<f64> = snr.map(|(flux, ivar)| flux * ivar.sqrt()).collect();
    let Some(median) = quantile(snr, 0.5) else { return WIDEST };
    let mut width = 3;
    while width < WIDEST && median * (width as f64).sqrt() < AIM_SNR {
        width += 2;
    }
    width
}

/// Inverse-variance weighted means over `width` pixels; `None` at missing pixels.
pub(super) fn smooth(pixels: &Pixels, width: usize) -> Vec<Option<Smooth>> {
    let n = pixels.flux_p.len();
    let half = width / 2;
    let around = |p: usize| p.saturating_sub(half)..n.min(p + half + 1);
    let mean = |p: usize| {
        let weight: f64 = pixels.ivar_p[around(p)].iter().sum();
        let sum: f64 = around(p).map(|q| pixels.ivar_p[q] * pixels.flux_p[q]).sum();
        (pixels.ivar_p[p] > 0.0).then(|| Smooth { flux: sum / weight, err: 1.0 / weight.sqrt() })
    };
    (0..n).map(mean).collect()
}

/// A range that shows the spectrum: all of the smoothed one but its extreme percents, zero, and
/// peaks that are no noise, as far as they leave the rest visible. None without a good pixel.
pub(super) fn limits(pixels: &Pixels, smooth: &[Option<Smooth>]) -> Option<(f64, f64)> {
    /// Pixels noisier than this share of the median ivar say little about the range.
    const LEAST_IVAR: f64 = 0.05;
    /// How many times the range of the rest a peak may take.
    const TALLEST: f64 = 1.5;
    const MARGIN: f64 = 0.06;

    let good: Vec<f64> = pixels.ivar_p.iter().copied().filter(|ivar| *ivar > 0.0).collect();
    let least = LEAST_IVAR * quantile(good, 0.5)?;
    let steady = smooth.iter().zip(&pixels.ivar_p).filter(|(_, ivar)| **ivar > least);
    let steady: Vec<f64> = steady.filter_map(|(smooth, _)| Some(smooth.as_ref()?.flux)).collect();
    let (lo, hi) = (quantile(steady.clone(), 0.01)?, quantile(steady, 0.99)?);
    let (lo, hi) = (lo.min(0.0), hi.max(0.0));
    let hi = peaks(pixels, smooth, hi).fold(hi, f64::max).min(hi + TALLEST * (hi - lo));
    let margin = MARGIN * (hi - lo);
    Some(if margin > 0.0 { (lo - margin, hi + margin) } else { (-1.0, 1.0) })
}

/// Smoothed pixels that stand above `floor` by more than noise, and not for a bad pixel or two: the
/// median of the five pixels around must rise with them.
fn peaks(pixels: &Pixels, smooth: &[Option<Smooth>], floor: f64) -> impl Iterator<Item = f64> {
    const SIGMAS: f64 = 4.0;
    /// The narrowest lines are three pixels wide: their median of five is half their smoothed peak.
    const LEAST_MEDIAN: f64 = 0.25;
    let windows = pixels.flux_p.windows(5).zip(pixels.ivar_p.windows(5));
    windows.zip(smooth.iter().skip(2)).filter_map(move |((flux_p, ivar_p), smooth)| {
        let Smooth { flux, err } = (*smooth)?;
        let median = quantile(flux_p.to_vec(), 0.5)?;
        let is_peak = flux - floor > SIGMAS * err && median - floor > LEAST_MEDIAN * (flux - floor);
        (is_peak && ivar_p.iter().all(|ivar| *ivar > 0.0)).then_some(flux)
    })
}

/// A quantile of finite numbers, the nearest of them.
pub(super) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the last index"
    )]
    let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    values.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(n: usize) -> Pixels {
        // A ripple well below the noise, so that quantiles differ from each other.
        let flux_p = (0..n).map(|p| 2.0 + 0.1 * (p as f64 * 0.7).sin()).collect();
        Pixels { flux_p, ivar_p: vec![4.0; n] }
    }

    fn limits_of(pixels: &Pixels) -> (f64, f64) {
        limits(pixels, &smooth(pixels, 3)).unwrap()
    }

    #[test]
    fn one_bad_pixel_moves_no_limit() {
        let (good, mut bad) = (flat(2000), flat(2000));
        bad.flux_p[700] = 1e6;
        let ((lo, hi), (bad_lo, bad_hi)) = (limits_of(&good), limits_of(&bad));
        assert!((lo - bad_lo).abs() < 0.05 && (hi - bad_hi).abs() < 0.05, "{lo} {hi} {bad_lo} {bad_hi}");
    }

    #[test]
    fn a_line_is_inside_unless_it_would_hide_the_rest() {
        let with_line = |height: f64| {
            let mut pixels = flat(2000);
            (700..710).for_each(|p| pixels.flux_p[p] = height);
            limits_of(&pixels).1
        };
        assert!(with_line(5.0) > 5.0);
        assert!(with_line(1e5) < 10.0);
    }

    #[test]
    fn no_good_pixel_gives_no_range() {
        let empty = Pixels { flux_p: vec![0.0; 50], ivar_p: vec![0.0; 50] };
        assert_eq!(limits(&empty, &smooth(&empty, 3)), None);
        assert_eq!(boxcar_width(&empty), WIDEST);
    }

    #[test]
    fn smoothing_weighs_by_inverse_variance_and_leaves_gaps() {
        let pixels = Pixels { flux_p: vec![1.0, 0.0, 4.0, 4.0], ivar_p: vec![1.0, 0.0, 3.0, 1.0] };
        let smooth = smooth(&pixels, 3);
        assert_eq!(smooth[1], None);
        assert_eq!(smooth[2], Some(Smooth { flux: 4.0, err: 0.5 }));
        assert_eq!(smooth[0], Some(Smooth { flux: 1.0, err: 1.0 }));
    }
}
