//! `resample_flux` in f64: nodes and edges merged, every piece of every bin integrated on its own.

/// The exact mean of the piecewise-linear function through (x, y) over each bin of `edge`.
///
/// One zero node is added beyond each end; farther out the function is 0.
fn bin_means(edge: &[f64], x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let step = if n > 1 { (x[1] - x[0], x[n - 1] - x[n - 2]) } else { (1.0, 1.0) };
    let mut node = vec![(x[0] - step.0, 0.0)];
    node.extend(x.iter().copied().zip(y.iter().copied()));
    node.push((x[n - 1] + step.1, 0.0));
    let value = |at: f64| {
        let i = node.partition_point(|&(x, _)| x <= at);
        if i == 0 || i == node.len() {
            return 0.0;
        }
        let ((x0, y0), (x1, y1)) = (node[i - 1], node[i]);
        y0 + (at - x0) / (x1 - x0) * (y1 - y0)
    };
    let mean = |low: f64, high: f64| {
        let inside = node.partition_point(|&(x, _)| x <= low)..node.partition_point(|&(x, _)| x < high);
        let mut pieces = vec![(low, value(low))];
        pieces.extend(&node[inside]);
        pieces.push((high, value(high)));
        let trapezoid = |p: &[(f64, f64)]| 0.5 * (p[0].1 + p[1].1) * (p[1].0 - p[0].0);
        pieces.windows(2).map(trapezoid).sum::<f64>() / (high - low)
    };
    edge.windows(2).map(|pair| mean(pair[0], pair[1])).collect()
}

/// `numpy.gradient`: central differences, one-sided at the ends.
fn gradient(x: &[f64]) -> Vec<f64> {
    let n = x.len();
    (0..n)
        .map(|i| match i {
            0 => x[1] - x[0],
            i if i == n - 1 => x[n - 1] - x[n - 2],
            i => 0.5 * (x[i + 1] - x[i - 1]),
        })
        .collect()
}

/// Flux and ivar per output bin, in the rest frame, from observed pixels at `wave_aa`.
pub(crate) fn resample(
    centre_aa: &[f64],
    wave_aa: &[f64],
    flux_p: &[f32],
    ivar_p: &[f32],
    z: f64,
) -> (Vec<f64>, Vec<f64>) {
    let n = centre_aa.len();
    let mut edge = vec![1.5 * centre_aa[0] - 0.5 * centre_aa[1]];
    edge.extend(centre_aa.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])));
    edge.push(1.5 * centre_aa[n - 1] - 0.5 * centre_aa[n - 2]);
    let x: Vec<f64> = wave_aa.iter().map(|w| w / (1.0 + z)).collect();
    let good = |f: f32, w: f32| f.is_finite() && w.is_finite() && w > 0.0;
    let pixels = || flux_p.iter().zip(ivar_p).map(|(&f, &w)| if good(f, w) { (f, w) } else { (0.0, 0.0) });
    let w: Vec<f64> = pixels().map(|(_, w)| f64::from(w)).collect();
    let fw: Vec<f64> = pixels().map(|(f, w)| f64::from(f) * f64::from(w)).collect();
    let dx = gradient(&x);
    let density: Vec<f64> = w.iter().zip(&dx).map(|(w, dx)| w / dx).collect();
    let (sum_w, sum_fw) = (bin_means(&edge, &x, &w), bin_means(&edge, &x, &fw));
    let density = bin_means(&edge, &x, &density);
    let dx_out = gradient(centre_aa);
    let flux = (0..n).map(|b| if sum_w[b] > 0.0 { sum_fw[b] / sum_w[b] * (1.0 + z) } else { 0.0 });
    let ivar = (0..n).map(|b| density[b] * dx_out[b] / (1.0 + z).powi(2));
    (flux.collect(), ivar.collect())
}
