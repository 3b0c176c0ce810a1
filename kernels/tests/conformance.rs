//! Every property of every operation, run on every device.
//!
//! A property is a generic function over the backend in `conformance/<op>.rs`; what is right is said
//! by the plain f64 statements in `reference/<op>.rs`.

#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/count_pixels.rs"]
mod count_pixels;
#[path = "conformance/devices.rs"]
mod devices;
#[path = "reference/mod.rs"]
mod reference;

#[path = "conformance/breaks.rs"]
mod breaks;
#[path = "conformance/combine_arms.rs"]
mod combine_arms;
#[path = "conformance/continuum.rs"]
mod continuum;
#[path = "conformance/driver.rs"]
mod driver;
#[path = "conformance/empca.rs"]
mod empca;
#[path = "conformance/extinction.rs"]
mod extinction;
#[path = "conformance/indices.rs"]
mod indices;
#[path = "conformance/ivar_scale.rs"]
mod ivar_scale;
#[path = "conformance/lines.rs"]
mod lines;
#[path = "conformance/measured.rs"]
mod measured;
#[path = "conformance/median_snr.rs"]
mod median_snr;
#[path = "conformance/nearest_neighbors.rs"]
mod nearest_neighbors;
#[path = "conformance/normalize.rs"]
mod normalize;
#[path = "conformance/project.rs"]
mod project;
#[path = "conformance/registers.rs"]
mod registers;
#[path = "conformance/rest_frame.rs"]
mod rest_frame;
#[path = "conformance/same_bits.rs"]
mod same_bits;
#[path = "conformance/self_test.rs"]
mod self_test;
#[path = "conformance/spectra.rs"]
mod spectra;
#[path = "conformance/synthetic.rs"]
mod synthetic;
#[path = "conformance/threads.rs"]
mod threads;
#[path = "conformance/update_basis.rs"]
mod update_basis;
#[path = "conformance/window_snr.rs"]
mod window_snr;

/// Makes one test per property and device.
macro_rules! properties {
    ($($ops:tt)+) => {
        on_device! { cpu: devices::cpu().as_ref(); $($ops)+ }
        on_device! { emulated_forward: devices::emulated(specmill_emulation::Turns::Forward).as_ref(); $($ops)+ }
        on_device! { emulated_reverse: devices::emulated(specmill_emulation::Turns::Reverse).as_ref(); $($ops)+ }
        on_device! { emulated_shuffled: devices::emulated(specmill_emulation::Turns::Shuffled).as_ref(); $($ops)+ }
        on_device! { cuda: devices::cuda(); $($ops)+ }
    };
}

/// Makes one test per property; `None` in place of the device skips it.
macro_rules! on_device {
    ($name:ident: $device:expr; $($op:ident: $($property:ident),+ $(,)?;)+) => {
        mod $name {
            $(mod $op {
                use crate::{$op as properties, devices};
                $(#[test]
                fn $property() {
                    if let Some(dev) = $device {
                        properties::$property(dev);
                    }
                })+
            })+
        }
    };
}

properties! {
    threads:
        threads_share_a_device,
        arrays_of_any_length_come_back,
        pieces_of_a_batch_are_its_rows,
        the_first_error_of_several_pieces_is_told;
    combine_arms:
        equals_the_cpu_to_the_bit,
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
    count_pixels:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        wrong_lengths_are_refused;
    extinction:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        no_dust_leaves_the_bits,
        missing_pixel_stays_missing,
        signal_to_noise_is_kept,
        one_batch_equals_many,
        any_bits_give_finite_output,
        dust_beyond_f32_is_missing,
        wrong_parameters_are_refused;
    median_snr:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        zeros_count_and_the_middle_two_are_averaged,
        mask_plays_no_part,
        absent_arm_gives_zero,
        permuting_pixels_changes_nothing,
        any_bits_give_no_nan,
        wrong_lengths_are_refused;
    rest_frame:
        equals_the_cpu_to_the_bit,
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
    breaks:
        equals_the_cpu_to_the_bit,
        sums_round_as_on_the_cpu,
        any_number_of_points_equals_the_cpu,
        agrees_with_the_reference,
        weighted_break_matches_fastspecfit,
        flat_f_nu_has_no_break,
        ends_on_a_pixel_centre_are_harmless,
        missing_breaks_say_why;
    continuum:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        agrees_with_the_reference_for_any_length_and_gaps,
        narrow_lines_leave_the_continuum_alone;
    indices:
        equals_the_cpu_to_the_bit,
        sums_round_as_on_the_cpu,
        agrees_with_the_reference,
        rectangular_absorption_gives_its_depth_times_its_width,
        stated_error_is_the_scatter,
        missing_indices_say_why;
    ivar_scale:
        equals_the_cpu_to_the_bit,
        a_known_misstatement_is_found,
        agrees_with_the_reference,
        too_little_to_judge_is_said;
    lines:
        equals_the_cpu_to_the_bit,
        sums_round_as_on_the_cpu,
        gaps_are_bridged_to_the_bit,
        agrees_with_the_reference,
        injected_flux_is_recovered_at_any_pixel_phase,
        stated_errors_are_the_scatter,
        a_missing_pixel_of_a_smooth_line_is_bridged,
        missing_lines_say_why;
    measured:
        masked_pixel_changes_nothing,
        one_batch_equals_many,
        no_rows_give_no_values,
        permuting_rows_permutes,
        everything_missing_gives_zero_and_a_flag,
        extreme_numbers_never_give_nan,
        any_bits_give_finite_output,
        scaling_flux_scales_flux_and_leaves_ratios,
        some_of_everything_is_measured,
        impossible_requests_are_refused;
    synthetic:
        equals_the_cpu_to_the_bit,
        sums_round_as_on_the_cpu,
        constant_f_nu_gives_that_f_nu,
        agrees_with_the_reference,
        uncovered_curves_say_so,
        impossible_curves_are_refused;
    window_snr:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        window_half_missing_is_not_measured;
    normalize:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        a_multiple_of_the_mean_leaves_nothing,
        scaling_flux_scales_the_amplitude_alone,
        missing_pixel_changes_nothing,
        spectra_without_a_positive_amplitude_have_no_weight,
        one_batch_equals_many,
        any_bits_give_finite_output,
        wrong_parameters_are_refused;
    project:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        most_components_agree_with_the_reference,
        a_combination_of_components_is_found,
        missing_pixel_changes_nothing,
        permuting_rows_permutes,
        one_batch_equals_many,
        scaling_weights_leaves_the_coefficients,
        undetermined_systems_give_nothing,
        any_bits_give_finite_output,
        wrong_parameters_are_refused;
    update_basis:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        known_components_come_back,
        one_block_of_pixels_equals_many,
        pixels_without_enough_spectra_are_zero,
        any_bits_give_finite_output,
        wrong_parameters_are_refused;
    nearest_neighbors:
        equals_the_cpu_to_the_bit,
        agrees_with_the_reference,
        is_exact_to_the_bit,
        equal_vectors_are_neighbours_at_zero_in_order_of_rows,
        some_queries_equal_all,
        too_few_rows_leave_places_empty,
        distances_beyond_f32_are_no_neighbours,
        unit_vectors_turn_distance_into_cosine,
        wrong_parameters_are_refused;
    empca:
        equals_the_cpu_to_the_bit,
        known_subspace_is_found_through_gaps_and_noise,
        matches_the_golden_fit,
        chi2_never_rises_without_smoothing,
        smoothing_keeps_the_subspace_and_its_coverage,
        components_are_orthonormal_ordered_and_positive,
        spectra_without_flux_are_left_out,
        more_components_than_the_sample_determines_are_refused,
        senseless_settings_are_refused;
    self_test:
        every_operation_passes;
}
