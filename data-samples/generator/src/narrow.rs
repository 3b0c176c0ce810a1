//! The two number conversions that lose something, each with its reason.

/// Nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is what is wanted")]
pub(crate) fn f32_of(value: f64) -> f32 {
    value as f32
}

/// Whole part of a non-negative number, as an index; 0 for anything below 0 or not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, as documented"
)]
pub(crate) fn index_of(value: f64) -> usize {
    value as usize
}
