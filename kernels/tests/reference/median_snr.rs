//! The median S/N of one arm, by sorting in f64.

/// Median of √ivar · flux / √Δλ over the pixels whose wavelength lies in [from, to).
pub(crate) fn median_snr(
    wave_aa: &[f64],
    flux_p: &[f32],
    ivar_p: &[f32],
    (from_aa, to_aa): (f64, f64),
) -> f64 {
    let mut snr = Vec::new();
    for p in 0..wave_aa.len() {
        if wave_aa[p] < from_aa || wave_aa[p] >= to_aa {
            continue;
        }
        let (f, w) = (f64::from(flux_p[p]), f64::from(ivar_p[p]));
        let good = f.is_finite() && w.is_finite() && w > 0.0;
        snr.push(if good { w.sqrt() * f / 0.8_f64.sqrt() } else { 0.0 });
    }
    snr.sort_by(f64::total_cmp);
    match snr.len() {
        0 => 0.0,
        n if n % 2 == 1 => snr[n / 2],
        n => (snr[n / 2 - 1] + snr[n / 2]) / 2.0,
    }
}
