//! The three rules of combining arms, pixel by pixel in f64.

use specmill_kernels::ArmBatch;
use specmill_kernels::ops::combine_arms::MaskRule;

/// One combined pixel, and the largest |flux| that went into it.
pub(crate) struct Pixel {
    pub(crate) flux: f64,
    pub(crate) ivar: f64,
    pub(crate) mask: u32,
    pub(crate) largest_flux: f64,
}

const FATAL_ANY: [u32; 9] = [2, 8, 9, 16, 17, 18, 19, 20, 21];

fn arm_is_dropped(rule: MaskRule, a: u32, fiberstatus: i32) -> bool {
    let set = |bit: u32| fiberstatus & (1 << bit) != 0;
    rule != MaskRule::V070 && (FATAL_ANY.iter().any(|&bit| set(bit)) || set(22 + a))
}

/// Pixel `p` of the combined spectrum `s`.
pub(crate) fn pixel(arms: &[ArmBatch; 3], fiberstatus: i32, rule: MaskRule, s: usize, p: usize) -> Pixel {
    let mut covering = 0;
    let mut inputs: Vec<(f64, f64, u32)> = Vec::new();
    for (a, arm) in (0..).zip(arms) {
        if p < arm.first_pixel || p >= arm.first_pixel + arm.n_pixels {
            continue;
        }
        covering += 1;
        if arm_is_dropped(rule, a, fiberstatus) {
            continue;
        }
        let i = s * arm.n_pixels + p - arm.first_pixel;
        let (f, w) = (f64::from(arm.flux_sp[i]), f64::from(arm.ivar_sp[i]));
        let usable = f.is_finite() && w.is_finite() && w >= 0.0;
        inputs.push((if f.is_finite() { f } else { 0.0 }, if usable { w } else { 0.0 }, arm.mask_sp[i]));
    }
    let mask_or = inputs.iter().fold(0, |or, (_, _, m)| or | m);
    let unmasked: Vec<f64> = inputs.iter().map(|&(_, w, m)| if m == 0 { w } else { 0.0 }).collect();
    let whole: Vec<f64> = inputs.iter().map(|&(_, w, _)| w).collect();
    let any_unmasked = unmasked.iter().any(|&w| w > 0.0);
    let weights = match rule {
        MaskRule::Dr1 => unmasked,
        MaskRule::Masked => {
            if any_unmasked {
                unmasked
            } else {
                whole
            }
        }
        MaskRule::V070 => whole,
    };
    let ivar: f64 = weights.iter().sum();
    let mean = || weights.iter().zip(&inputs).map(|(w, (f, _, _))| w * f).sum::<f64>() / ivar;
    let flux = match (rule, covering) {
        (MaskRule::V070, 1) => inputs[0].0,
        _ if ivar == 0.0 => 0.0,
        _ => mean(),
    };
    let mask = match rule {
        MaskRule::Dr1 if covering > 1 => 0,
        MaskRule::Dr1 => mask_or,
        MaskRule::Masked if any_unmasked => 0,
        MaskRule::Masked => mask_or,
        MaskRule::V070 if ivar > 0.0 => 0,
        MaskRule::V070 => mask_or,
    };
    let largest_flux = inputs.iter().fold(0.0, |largest: f64, (f, _, _)| largest.max(f.abs()));
    Pixel { flux, ivar, mask, largest_flux }
}
