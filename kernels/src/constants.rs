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
    /// `exp`: largest |x| that it takes.
    EXP_MAX: f32 = 87.0;
    /// `exp`: 1 / ln 2.
    EXP_PER_LN2: f32 = std::f32::consts::LOG2_E;
    /// `exp`: 1.5 · 2^23; adding it leaves the nearest integer in the low bits of the mantissa.
    EXP_ROUND: f32 = 12_582_912.0;
    /// `exp`: ln 2 in two parts; n times this one is exact for |n| < 2^9.
    EXP_LN2_HIGH: f32 = 355.0 / 512.0;
    /// `exp`: what is left of ln 2.
    EXP_LN2_LOW: f32 = -2.121_944_4e-4;
    /// `ivar_scale`: fewest pulls that determine a scale.
    SCALE_MIN_PIXELS: u32 = 1000;
    /// `ivar_scale`: standard deviations per median absolute deviation of a normal variable, 1 / Φ⁻¹(3/4).
    SIGMA_PER_MAD: f64 = 1.482_602_218_505_602;
    /// `running_median`: bits of a sort key, each a level of the kernel's scratch.
    KEY_BITS: u32 = 32;
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
    /// Weighted sums: terms in one f32 chain.
    SUM_CHUNK: u32 = 128;
    /// Weighted sums: most components, for one system's factor still fits a core's cache beside its neighbours'.
    MAX_COMPONENTS: u32 = 64;
    /// Small systems: a pivot of at most this share of its own diagonal element counts as none, for the f32
    /// chains of the sums leave relative errors of a few 1e-7, so a smaller share says nothing about the data.
    LEAST_PIVOT: f64 = 1e-6;
    /// Rows (spectra, pixels, vectors) of a tile in a card's shared memory.
    TILE_ROWS: u32 = 64;
    /// Weighted sums on a card: sums that a thread makes of each row.
    GROUP_SUMS: u32 = 4;
    /// Weighted sums on a card: most groups of sums of a block.
    MOST_GROUPS: u32 = 32;
    /// `nearest_neighbors`: the row of a neighbour that does not exist.
    NO_ROW: u32 = u32::MAX;
    /// `nearest_neighbors` on a card: rows that a query collects before they are sorted in among its nearest.
    NEIGHBOR_BUFFER: u32 = 128;
    /// Threads of a block where a kernel has no reason for another number.
    THREADS: u32 = 256;
    /// Threads of a block where a kernel gains by many that wait for each other.
    MANY_THREADS: u32 = 512;
    /// Measured values: some band is not wholly on the grid.
    FLAG_OUT_OF_RANGE: u8 = 1;
    /// Measured values: too few good pixels.
    FLAG_COVERAGE: u8 = 2;
    /// Measured values: the continuum (or the mean that divides) is not positive.
    FLAG_CONTINUUM: u8 = 4;
    /// Measured values: the window overlaps another line's.
    FLAG_BLENDED: u8 = 8;
    /// Measured values: some pixels inside the window are missing.
    FLAG_PARTIAL: u8 = 16;
    /// Measured values: the numbers do not determine a finite value with a positive variance.
    FLAG_DEGENERATE: u8 = 32;
    /// `synthetic`: least share of a curve's weight on good pixels.
    CURVE_MIN_COVERAGE: f64 = 0.8;
    /// `synthetic`: c [Å s⁻¹] · 3631e-32 [erg s⁻¹ cm⁻² Hz⁻¹ per nanomaggy] / 1e-17 [flux unit].
    FLUX_PER_NANOMAGGY: f64 = 2.997_924_58e18 * 3631e-32 / 1e-17;
    /// `indices`: an equivalent width.
    INDEX_ANGSTROM: u32 = 0;
    /// `indices`: a mean ratio of flux to pseudo-continuum.
    INDEX_RATIO: u32 = 1;
    /// `indices`: least share of each band's width on good pixels.
    INDEX_MIN_GOOD: f64 = 0.8;
    /// `lines`: least share of the window's width on good pixels.
    LINE_MIN_GOOD_WINDOW: f64 = 0.8;
    /// `lines`: least share of each sideband's width on good pixels.
    LINE_MIN_GOOD_SIDEBAND: f64 = 0.5;
    /// `breaks`: padding of a band, rest-frame Å.
    BREAK_PAD_AA: f64 = 2.0;
    /// `breaks`: least share of good pixels in a padded band.
    BREAK_MIN_GOOD: f64 = 0.9;
    /// `breaks`: pixels nearer to a band's end than this count as lying on it, pixels (their difference would
    /// divide by nearly zero).
    BREAK_END_TOLERANCE: f64 = 1e-6;
}
