//! Milky Way extinction after Fitzpatrick (1999, PASP 111, 63) with R_V = 3.1.

const R_V: f64 = 3.1;
/// Schlafly and Finkbeiner (2011, ApJ 737, 103): A(1 micron) = 1.029 E(B-V) of the SFD map.
const SFD_SCALE: f64 = 1.029;

/// The curve A(λ)/E(B-V): ultraviolet formula below 2700 Å, a natural cubic spline above.
pub(crate) struct Curve {
    x: [f64; 9],
    y: [f64; 9],
    second: [f64; 9],
    at_micron: f64,
}

/// Fitzpatrick and Massa (1990) formula with the coefficients of Fitzpatrick (1999), `x` in 1/micron.
fn ultraviolet(x: f64) -> f64 {
    let c2 = -0.824 + 4.717 / R_V;
    let c1 = 2.030 - 3.007 * c2;
    let drude = x * x / ((x * x - 4.596 * 4.596) * (x * x - 4.596 * 4.596) + x * x * 0.99 * 0.99);
    let far = (x - 5.9).max(0.0);
    c1 + c2 * x + 3.23 * drude + 0.41 * (0.5392 * far * far + 0.05644 * far * far * far) + R_V
}

fn polynomial(coefficients: &[f64]) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * R_V + c)
}

impl Curve {
    pub(crate) fn new() -> Self {
        let anchors_aa = [26500.0, 12200.0, 6000.0, 5470.0, 4670.0, 4110.0, 2700.0, 2600.0];
        let mut x = [0.0; 9];
        for (slot, anchor) in x.iter_mut().skip(1).zip(anchors_aa) {
            *slot = 10_000.0 / anchor;
        }
        let y = [
            0.0,
            0.26469 * R_V / 3.1,
            0.82925 * R_V / 3.1,
            polynomial(&[2.13572e-4, 1.00270, -4.22809e-1]),
            polynomial(&[-7.35778e-5, 1.00216, -5.13540e-2]),
            polynomial(&[-3.32598e-5, 1.00184, 7.00127e-1]),
            polynomial(&[-4.45636e-5, 7.97809e-4, -5.46959e-3, 1.01707, 1.19456]),
            ultraviolet(x[7]),
            ultraviolet(x[8]),
        ];
        let mut curve = Self { x, y, second: natural_spline(&x, &y), at_micron: 1.0 };
        curve.at_micron = curve.per_ebv(10_000.0);
        curve
    }

    /// A(λ)/E(B-V) before the SFD recalibration.
    pub(crate) fn per_ebv(&self, wave_aa: f64) -> f64 {
        let x = 10_000.0 / wave_aa;
        if x >= self.x[7] {
            return ultraviolet(x);
        }
        let hi = self.x.iter().position(|&knot| knot > x).unwrap_or(8).max(1);
        let h = self.x[hi] - self.x[hi - 1];
        let a = (self.x[hi] - x) / h;
        let b = 1.0 - a;
        a * self.y[hi - 1]
            + b * self.y[hi]
            + ((a * a * a - a) * self.second[hi - 1] + (b * b * b - b) * self.second[hi]) * h * h / 6.0
    }

    /// A(λ) for an SFD E(B-V) of one.
    pub(crate) fn extinction_per_sfd_ebv(&self, wave_aa: f64) -> f64 {
        self.per_ebv(wave_aa) / self.at_micron * SFD_SCALE
    }

    /// Fraction of light that passes.
    #[cfg(test)]
    pub(crate) fn transmission(&self, wave_aa: f64, ebv_sfd: f64) -> f64 {
        libm::exp10(-0.4 * ebv_sfd * self.extinction_per_sfd_ebv(wave_aa))
    }
}

/// Second derivatives of the natural cubic spline through the knots.
fn natural_spline(x: &[f64; 9], y: &[f64; 9]) -> [f64; 9] {
    let mut second = [0.0; 9];
    let mut carry = [0.0; 9];
    for i in 1..8 {
        let share = (x[i] - x[i - 1]) / (x[i + 1] - x[i - 1]);
        let pivot = share * second[i - 1] + 2.0;
        second[i] = (share - 1.0) / pivot;
        let bend = (y[i + 1] - y[i]) / (x[i + 1] - x[i]) - (y[i] - y[i - 1]) / (x[i] - x[i - 1]);
        carry[i] = (6.0 * bend / (x[i + 1] - x[i - 1]) - share * carry[i - 1]) / pivot;
    }
    second[8] = 0.0;
    for i in (1..8).rev() {
        second[i] = second[i] * second[i + 1] + carry[i];
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transmission_agrees_with_the_reference_function() {
        // desiutil.dust.dust_transmission(wave, 0.1, Rv=3.1), desiutil 4.0.1.
        let reference = [
            (3600.0, 0.678_047_070_504_516_8),
            (5500.0, 0.782_006_655_856_605_3),
            (9800.0, 0.906_494_962_068_018_2),
        ];
        let curve = Curve::new();
        for (wave_aa, expected) in reference {
            // Same formula in f64: only the order of operations differs.
            assert!((curve.transmission(wave_aa, 0.1) - expected).abs() < 1e-9, "{wave_aa}");
        }
    }
}
