//! Combines the b, r and z arms into one spectrum; the only place where a mask becomes `ivar = 0`.
//!
//! # Equation
//! With w the weight of each arm that covers the pixel, in arm order b, r, z and starting from 0:
//! W = Σ w; flux = Σ (w/W)·f; ivar = W. One covering arm: flux = f, ivar = w. W = 0: missing, flux 0
//! (except in the 0.70 rule, which keeps the flux of a pixel of one arm). All in f32; w/W comes first
//! so that neither tiny nor huge weights spoil the product. A sum that overflows is a missing pixel.
//!
//! # Masking
//! A pixel of an arm with flux or ivar not finite, or ivar negative, has w = 0 before anything else.
//! Then, by [`MaskRule`]:
//!
//! | | `dr1` | `masked` | `0.70` |
//! |---|---|---|---|
//! | w | ivar where mask = 0, else 0 | the same; ivar where that leaves W = 0 | ivar |
//! | mask | one arm: its mask; several: 0 | OR of arms; 0 where some ivar > 0 has mask = 0 | OR of arms; 0 where W > 0 |
//! | arm with a fatal COADD_FIBERSTATUS bit | left out | left out | kept |
//!
//! An arm left out gives neither weight nor mask. Which pixels are of one arm is decided by the arms
//! of the file, not of the row. A pixel that no arm covers is missing, mask 0.
//!
//! # Shapes
//! Per arm [s, p_arm] → [s, p] on the combined grid. Flux 1e-17 erg s⁻¹ cm⁻² Å⁻¹, ivar its inverse square.
//!
//! # Bound by
//! Memory: 95 kB read, 93 kB written per DESI spectrum, 5 flops for each of 177 shared pixels.
//!
//! # Source
//! `desispec.coaddition.coadd_cameras`: DR1 up to 0.66 (`dr1`), 0.67 to 0.69 (`masked`), 0.70.

pub(crate) mod cpu;
pub(crate) mod cuda;

use std::fmt;
use std::str::FromStr;

use crate::KernelError;
use crate::constants::{FATAL_ANY_ARM, FATAL_ARM_B_BIT};
use crate::error::check_len;

const OPERATION: &str = "combine_arms";

/// How MASK and COADD_FIBERSTATUS weigh on the combination, named after desispec's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MaskRule {
    /// `dr1`: a masked pixel weighs nothing.
    Dr1,
    /// `masked`: a masked pixel weighs nothing unless all of its output pixel is masked.
    #[default]
    Masked,
    /// `0.70`: the mask plays no part.
    V070,
}

impl fmt::Display for MaskRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dr1 => "dr1",
            Self::Masked => "masked",
            Self::V070 => "0.70",
        })
    }
}

impl FromStr for MaskRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dr1" => Ok(Self::Dr1),
            "masked" => Ok(Self::Masked),
            "0.70" => Ok(Self::V070),
            _ => Err(format!("`{text}` is not a mask rule: use dr1, masked or 0.70")),
        }
    }
}

/// Which arms of a row take part, given its COADD_FIBERSTATUS.
pub fn used_arms(rule: MaskRule, fiberstatus: i32) -> [bool; 3] {
    match rule {
        MaskRule::V070 => [true; 3],
        MaskRule::Dr1 | MaskRule::Masked => {
            [0, 1, 2].map(|a| fiberstatus & (FATAL_ANY_ARM | 1 << (FATAL_ARM_B_BIT + a)) == 0)
        }
    }
}

/// Pixels `start..end` of the combined grid, all covered by the same arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) covered_by: [bool; 3],
}

/// Refuses arms whose lengths (flux, ivar, mask) are not what their layout needs.
pub(crate) fn check_shapes(
    n_spectra: usize,
    layout_a: &[(usize, usize); 3],
    n_fiberstatus: usize,
    lengths_a: [[usize; 3]; 3],
) -> Result<(), KernelError> {
    check_len(OPERATION, "fiberstatus_s", "s", n_spectra, n_fiberstatus)?;
    for ((_, n), lengths) in layout_a.iter().zip(lengths_a) {
        for (array, actual) in ["flux_asp", "ivar_asp", "mask_asp"].into_iter().zip(lengths) {
            check_len(OPERATION, array, "s, p", n_spectra * n, actual)?;
        }
    }
    Ok(())
}

/// The combined grid cut where an arm begins or ends, in order and without gaps.
pub(crate) fn runs(layout_a: &[(usize, usize); 3], n_pixels: usize) -> Result<Vec<Run>, KernelError> {
    let mut cuts = vec![0, n_pixels];
    for (first, n) in layout_a.iter().copied().filter(|&(_, n)| n > 0) {
        let end = first.checked_add(n).filter(|&end| end <= n_pixels).ok_or_else(|| KernelError::Domain {
            operation: OPERATION,
            what: format!("an arm of {n} pixels from pixel {first} leaves the grid of {n_pixels} pixels"),
        })?;
        cuts.extend([first, end]);
    }
    cuts.sort_unstable();
    cuts.dedup();
    let run = |ends: &[usize]| Run {
        start: ends[0],
        end: ends[1],
        covered_by: layout_a.map(|(first, n)| n > 0 && first <= ends[0] && ends[1] <= first + n),
    };
    Ok(cuts.windows(2).map(run).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn desi_grid_has_two_overlaps() {
        let runs = runs(&[(0, 2751), (2700, 2326), (4900, 2881)], 7781).expect("the arms fit");
        let lengths: Vec<_> = runs.iter().map(|r| (r.end - r.start, r.covered_by)).collect();
        let (b, r, z) = ([true, false, false], [false, true, false], [false, false, true]);
        let (br, rz) = ([true, true, false], [false, true, true]);
        assert_eq!(lengths, [(2700, b), (51, br), (2149, r), (126, rz), (2755, z)]);
    }

    #[test]
    fn missing_arm_leaves_a_gap() {
        let runs = runs(&[(0, 3), (0, 0), (5, 2)], 8).expect("the arms fit");
        let covered: Vec<_> = runs.iter().map(|r| (r.start, r.end, r.covered_by)).collect();
        let none = [false; 3];
        assert_eq!(
            covered,
            [(0, 3, [true, false, false]), (3, 5, none), (5, 7, [false, false, true]), (7, 8, none)]
        );
    }

    #[test]
    fn arm_outside_the_grid_is_refused() {
        assert!(matches!(runs(&[(6, 3), (0, 0), (0, 0)], 8), Err(KernelError::Domain { .. })));
        assert!(matches!(runs(&[(usize::MAX, 3), (0, 0), (0, 0)], 8), Err(KernelError::Domain { .. })));
    }

    #[test]
    fn fatal_bits_leave_out_their_arms() {
        for rule in [MaskRule::Dr1, MaskRule::Masked] {
            for bit in [2, 8, 9, 16, 17, 18, 19, 20, 21] {
                assert_eq!(used_arms(rule, 1 << bit), [false; 3], "bit {bit}");
            }
            assert_eq!(used_arms(rule, 1 << 22), [false, true, true]);
            assert_eq!(used_arms(rule, 1 << 23), [true, false, true]);
            assert_eq!(used_arms(rule, 1 << 24), [true, true, false]);
            for bit in [0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 25, 26, 31] {
                assert_eq!(used_arms(rule, 1 << bit), [true; 3], "bit {bit}");
            }
        }
        assert_eq!(used_arms(MaskRule::V070, -1), [true; 3]);
    }

    #[test]
    fn rule_reads_back_as_written() {
        for rule in [MaskRule::Dr1, MaskRule::Masked, MaskRule::V070] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert!("0.7".parse::<MaskRule>().is_err());
        assert_eq!(MaskRule::default(), MaskRule::Masked);
    }
}
