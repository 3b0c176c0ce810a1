//! Every property of every operation, run on every device.
//!
//! A property is a generic function over the backend in `conformance/<op>.rs`; what is right is said
//! by the plain f64 statements in `reference/<op>.rs`.

#[path = "conformance/cases.rs"]
mod cases;
#[path = "reference/mod.rs"]
mod reference;

#[path = "conformance/combine_arms.rs"]
mod combine_arms;
#[path = "conformance/extinction.rs"]
mod extinction;
#[path = "conformance/median_snr.rs"]
mod median_snr;
#[path = "conformance/rest_frame.rs"]
mod rest_frame;
#[path = "conformance/same_bits.rs"]
mod same_bits;

/// Makes one test per property and device.
macro_rules! properties {
    ($($op:ident: $($property:ident),+ $(,)?;)+) => {
        mod cpu {
            $(mod $op {
                use crate::$op as properties;
                $(#[test]
                fn $property() {
                    properties::$property(&specmill_kernels::Cpu::new(2).expect("two threads start"));
                })+
            })+
        }
    };
}

properties! {
    combine_arms:
        agrees_with_the_reference,
        one_arm_is_copied_bit_for_bit,
        masked_pixel_changes_nothing,
        scaling_flux_scales,
        permuting_rows_permutes,
        one_batch_equals_many,
        extreme_weights_keep_the_flux,
        fatal_fiberstatus_equals_a_dead_arm,
        any_bits_give_finite_output,
        no_arm_gives_missing_pixels,
        wrong_lengths_are_refused;
    extinction:
        agrees_with_the_reference,
        no_dust_leaves_the_bits,
        missing_pixel_stays_missing,
        signal_to_noise_is_kept,
        one_batch_equals_many,
        any_bits_give_finite_output,
        dust_beyond_f32_is_missing,
        wrong_parameters_are_refused;
    median_snr:
        agrees_with_the_reference,
        zeros_count_and_the_middle_two_are_averaged,
        mask_plays_no_part,
        absent_arm_gives_zero,
        permuting_pixels_changes_nothing,
        any_bits_give_no_nan,
        wrong_lengths_are_refused;
    rest_frame:
        agrees_with_the_reference,
        fine_bins_agree_with_the_reference,
        masked_pixel_changes_nothing,
        constant_flux_stays_constant,
        information_is_conserved,
        scaling_flux_scales,
        rows_are_independent,
        bins_outside_the_data_are_missing,
        any_bits_give_finite_output,
        wrong_parameters_are_refused;
}
