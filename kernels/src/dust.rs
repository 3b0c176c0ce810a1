//! Fitzpatrick's (1999) curve for R_V = 3.1, in f64 on the host.

const R_V: f64 = 3.1;

/// Shortest-wavelength side of the spline, Å: below it the ultraviolet formula holds.
const ULTRAVIOLET_AA: f64 = 2700.0;

/// Wavelengths of the spline's knots, Å, after the one at 1/λ = 0 (his Table 3, and two in the ultraviolet).
const KNOTS_AA: [f64; 8] = [26_500.0, 12_200.0, 6000.0, 5470.0, 4670.0, 4110.0, 2700.0, 2600.0];

const N_KNOTS: usize = KNOTS_AA.len() + 1;

/// A(λ)/A(V) at a vacuum wavelength.
///
/// # Source
/// Fitzpatrick (1999, PASP 111, 63): eq. 2 and Table 2 for the ultraviolet, Tables 3 and 4 and the
/// appendix for the natural cubic spline in 1/λ through the optical and infrared.
pub(crate) fn f99_over_av(wave_aa: f64) -> f64 {
    let x = 1e4 / wave_aa;
    if wave_aa <= ULTRAVIOLET_AA {
        return ultraviolet(x) / R_V;
    }
    let (x_i, y_i) = knots();
    natural_spline(&x_i, &y_i, x) / R_V
}

/// A(λ)/E(B−V) of the ultraviolet at x = 1/λ in µm⁻¹ (eq. 2): a line, the 2175 Å bump, the far-UV rise.
fn ultraviolet(x: f64) -> f64 {
    let (x0, gamma, c3, c4) = (4.596, 0.99, 3.23, 0.41);
    let c2 = -0.824 + 4.717 / R_V;
    let c1 = 2.030 - 3.007 * c2;
    let x2 = x * x;
    let bump = x2 / ((x2 - x0 * x0) * (x2 - x0 * x0) + x2 * gamma * gamma);
    let far = (x - 5.9).max(0.0);
    c1 + c2 * x + c3 * bump + c4 * (0.5392 * far * far + 0.05644 * far * far * far) + R_V
}

/// The spline's knots: 1/λ in µm⁻¹, and A(λ)/E(B−V) there (Tables 3 and 4 for R = [`R_V`]).
fn knots() -> ([f64; N_KNOTS], [f64; N_KNOTS]) {
    let mut x_i = [0.0; N_KNOTS];
    for (x, wave_aa) in x_i[1..].iter_mut().zip(KNOTS_AA) {
        *x = 1e4 / wave_aa;
    }
    let r = R_V;
    let y_i = [
        0.0,
        0.26469 * r / 3.1,
        0.82925 * r / 3.1,
        -4.22809e-1 + r * (1.00270 + r * 2.13572e-4),
        -5.13540e-2 + r * (1.00216 + r * -7.35778e-5),
        7.00127e-1 + r * (1.00184 + r * -3.32598e-5),
        1.19456 + r * (1.01707 + r * (-5.46959e-3 + r * (7.97809e-4 + r * -4.45636e-5))),
        ultraviolet(x_i[7]),
        ultraviolet(x_i[8]),
    ];
    (x_i, y_i)
}

/// The natural cubic spline through (x_i, y_i) at `x`; its second derivatives by elimination.
fn natural_spline(x_i: &[f64; N_KNOTS], y_i: &[f64; N_KNOTS], x: f64) -> f64 {
    let mut curvature_i = [0.0; N_KNOTS];
    let mut ratio_i = [0.0; N_KNOTS];
    for i in 1..N_KNOTS - 1 {
        let (left, right) = (x_i[i] - x_i[i - 1], x_i[i + 1] - x_i[i]);
        let bend = (y_i[i + 1] - y_i[i]) / right - (y_i[i] - y_i[i - 1]) / left;
        let pivot = 2.0 * (left + right) - left * ratio_i[i - 1];
        ratio_i[i] = right / pivot;
        curvature_i[i] = (6.0 * bend - left * curvature_i[i - 1]) / pivot;
    }
    for i in (1..N_KNOTS - 1).rev() {
        curvature_i[i] -= ratio_i[i] * curvature_i[i + 1];
    }
    let i = x_i[1..N_KNOTS - 1].iter().take_while(|&&knot| knot <= x).count();
    let h = x_i[i + 1] - x_i[i];
    let (a, b) = ((x_i[i + 1] - x) / h, (x - x_i[i]) / h);
    a * y_i[i]
        + b * y_i[i + 1]
        + ((a * a * a - a) * curvature_i[i] + (b * b * b - b) * curvature_i[i + 1]) * h * h / 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spline_passes_through_its_knots() {
        let (x_i, y_i) = knots();
        for (x, y) in x_i.iter().zip(y_i) {
            assert!((natural_spline(&x_i, &y_i, *x) - y).abs() < 1e-13, "at {x}");
        }
    }

    #[test]
    fn curve_is_continuous_where_the_formulae_meet() {
        assert!((f99_over_av(2700.0) - f99_over_av(2700.0 + 1e-9)).abs() < 1e-9);
    }
}
