//! The exponential of shared operations: the same bits wherever it is written out. Twin: `cuda/exp.cuh`.

/// Largest |x| that [`exp_f32`] takes; beyond it the result nears the ends of f32.
pub(crate) use crate::constants::EXP_MAX;
use crate::constants::{EXP_LN2_HIGH, EXP_LN2_LOW, EXP_PER_LN2, EXP_ROUND};

/// e^x for |x| <= [`EXP_MAX`], within 1 ulp; outside it, finite but meaningless.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial, 2^n by the exponent bits. Every step is
/// one IEEE operation, so a twin that writes the same steps gives the same bits.
///
/// # Source
/// Argument reduction after Cody & Waite (1980); the coefficients are the Taylor series, whose
/// remainder r^8 / 8! <= 6e-9 is under a tenth of an ulp.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    let shifted = x.mul_add(EXP_PER_LN2, EXP_ROUND);
    let n = shifted - EXP_ROUND;
    let r = n.mul_add(-EXP_LN2_LOW, n.mul_add(-EXP_LN2_HIGH, x));
    let mut e_r = 1.0 / 5040.0;
    e_r = r.mul_add(e_r, 1.0 / 720.0);
    e_r = r.mul_add(e_r, 1.0 / 120.0);
    e_r = r.mul_add(e_r, 1.0 / 24.0);
    e_r = r.mul_add(e_r, 1.0 / 6.0);
    e_r = r.mul_add(e_r, 0.5);
    e_r = r.mul_add(e_r, 1.0);
    e_r = r.mul_add(e_r, 1.0);
    // `shifted` has the bits of EXP_ROUND plus n: its low bits, moved to the exponent, are 2^n.
    let two_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    e_r * two_n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_one_ulp() {
        let mut worst = 0.0_f64;
        let n = 2_000_000_i32;
        for i in -n..=n {
            #[expect(clippy::cast_possible_truncation, reason = "the argument is meant to be rounded to f32")]
            let x = (f64::from(i) / f64::from(n) * f64::from(EXP_MAX)) as f32;
            let truth = libm::exp(f64::from(x));
            let exponent = libm::floor(libm::log2(truth));
            let ulp = libm::exp2(exponent - 23.0);
            worst = worst.max((f64::from(exp_f32(x)) - truth).abs() / ulp);
        }
        assert!(worst < 1.0, "worst error {worst} ulp");
    }

    #[test]
    fn exp_of_zero_is_one() {
        assert_eq!(exp_f32(0.0).to_bits(), 1.0_f32.to_bits());
        assert_eq!(exp_f32(-0.0).to_bits(), 1.0_f32.to_bits());
    }
}
