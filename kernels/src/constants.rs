//! Numbers that both sides of a pair of twins are written with: here for Rust, as `#define`s for kernels.
//!
//! The build scripts read this file too, so it names nothing outside itself.

/// Declares constants and what the preprocessor is told of them.
macro_rules! constants {
    ($($(#[$attr:meta])* $name:ident: $ty:ident = $value:expr;)*) => {
        $($(#[$attr])* pub(crate) const $name: $ty = $value;)*

        /// The constants as preprocessor definitions.
        pub(crate) fn defines() -> String {
            [$((stringify!($name), literal!($ty, $name))),*]
                .iter()
                .map(|(name, value)| format!("#define {name} {value}\n"))
                .collect()
        }
    };
}

/// A number as C++ reads it, to the last bit.
macro_rules! literal {
    (f32, $value:expr) => {
        format!("{:?}f", $value)
    };
    (u32, $value:expr) => {
        format!("{:?}u", $value)
    };
    ($ty:ident, $value:expr) => {
        format!("{:?}", $value)
    };
}

constants! {
    /// Partial sums of a sum over pixels, and threads of a warp.
    LANES: u32 = 32;
    /// `combine_arms`: the rule of DR1.
    RULE_DR1: u32 = 0;
    /// `combine_arms`: the rule `masked`.
    RULE_MASKED: u32 = 1;
    /// `combine_arms`: the rule of desispec 0.70.
    RULE_070: u32 = 2;
    /// COADD_FIBERSTATUS bits that spoil every arm: 2, 8, 9, 16 to 21.
    FATAL_ANY_ARM: i32 = 1 << 2 | 1 << 8 | 1 << 9 | 0b11_1111 << 16;
    /// COADD_FIBERSTATUS bit that spoils arm b alone; those of r and z follow.
    FATAL_ARM_B_BIT: u32 = 22;
}
