//! Instruction sets by shape: one plain Rust body, compiled once per instruction set.
//!
//! A body is an `#[inline(always)]` function of loops over arrays; [`simd_fn`] instantiates it
//! under each `#[target_feature]` and picks one at run time. All instances give the same bits:
//! Rust neither contracts nor reorders floating point, and `mul_add` is fused with or without
//! hardware for it.

use std::fmt;

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// The widest instruction set of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let bits = is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && bits;
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            if avx2 && avx512 {
                return Self(Level::Avx512);
            }
            if avx2 {
                return Self(Level::Avx2);
            }
        }
        Self(Level::Portable)
    }

    /// Every instruction set of this CPU, narrowest first.
    pub fn available() -> Vec<Self> {
        match Self::detect().0 {
            Level::Portable => vec![Self(Level::Portable)],
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => vec![Self(Level::Portable), Self(Level::Avx2)],
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => vec![Self(Level::Portable), Self(Level::Avx2), Self(Level::Avx512)],
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }

    /// Whether there are 32 vector registers, so that larger tiles fit.
    pub(crate) fn has_many_registers(self) -> bool {
        match self.0 {
            Level::Portable => false,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => false,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => true,
        }
    }
}

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2+fma",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        })
    }
}

/// Declares `fn name(simd, args…)`, which runs `body(args…)` compiled for `simd`.
macro_rules! simd_fn {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path;) => {
        $(#[$attr])*
        $vis fn $name(simd: $crate::simd::Simd, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                $body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512vl,avx512bw,avx512dq")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                $body($($arg),*)
            }
            // Not inlined into callers, where the arguments would lose their freedom from aliasing.
            #[inline(never)]
            fn portable($($arg: $ty),*) $(-> $ret)? {
                $body($($arg),*)
            }
            match simd.level() {
                $crate::simd::Level::Portable => portable($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx2 => {
                    // SAFETY: a `Simd` of this level exists only where the CPU was seen to have it.
                    unsafe { avx2($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx512 => {
                    // SAFETY: a `Simd` of this level exists only where the CPU was seen to have it.
                    unsafe { avx512($($arg),*) }
                }
            }
        }
    };
}

pub(crate) use simd_fn;

/// Runs a block for r = 0, 1, … N − 1 (at most 12) as straight code, not as a loop: sums that are indexed
/// by r alone then live in registers.
macro_rules! each_row {
    ($r:ident < $n:ident, $body:block) => {
        $crate::simd::each_row!(@ $r, $n, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $r:ident, $n:ident, $body:block, $($i:literal)*) => {
        const { assert!($n <= 12, "more rows than are written out") };
        $(if $i < $n {
            let $r = $i;
            $body
        })*
    };
}

pub(crate) use each_row;

/// `value`, or +0 where it is not to be kept; without a branch, so that loops stay vectors.
#[inline(always)]
pub(crate) fn keep_if(keep: bool, value: f32) -> f32 {
    f32::from_bits(value.to_bits() & u32::from(keep).wrapping_neg())
}

/// As [`keep_if`] in f64.
#[inline(always)]
pub(crate) fn keep_f64_if(keep: bool, value: f64) -> f64 {
    f64::from_bits(value.to_bits() & u64::from(keep).wrapping_neg())
}

/// Whether a pixel counts: flux and ivar finite, ivar positive.
#[inline(always)]
pub(crate) fn is_good(flux: f32, ivar: f32) -> bool {
    // Comparisons with NaN are false, and comparisons are vector instructions everywhere.
    (flux.abs() <= f32::MAX) & (ivar > 0.0) & (ivar <= f32::MAX)
}
