//! What becomes of each target, decided from tables before any pixel is looked at.

use std::collections::BTreeSet;

use crate::class::Class;
use crate::ledger::State;

/// What is known of a target before its spectrum is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// OBJTYPE, where FIBERMAP has it.
    pub(crate) objtype: Option<&'a str>,
    /// The redshift row, if the target has one.
    pub(crate) redshift: Option<Redshift<'a>>,
    /// Whether an earlier row of the same coadd has the same TARGETID.
    pub(crate) is_repeat: bool,
}

/// A target's redshift row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redshift<'a> {
    pub(crate) z: f64,
    pub(crate) zwarn: Option<i64>,
    pub(crate) spectype: &'a str,
    /// Whether rows of the catalogue disagree about this target.
    pub(crate) ambiguous: bool,
}

/// The rules of the run file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) skip_zwarn: i64,
    pub(crate) z_min: f64,
    pub(crate) z_max: f64,
}

/// How a target ends, or that it is to be measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Measure it.
    Measure { class: Class, z: f64 },
    /// Leave it, with state and reason.
    Leave(State, &'static str),
}

const ZWARN_REASONS: [(u8, &str); 12] = [
    (0, "zwarn_sky"),
    (1, "zwarn_little_coverage"),
    (2, "zwarn_small_delta_chi2"),
    (3, "zwarn_negative_model"),
    (4, "zwarn_many_outliers"),
    (5, "zwarn_z_fitlimit"),
    (6, "zwarn_negative_emission"),
    (7, "zwarn_unplugged"),
    (8, "zwarn_bad_target"),
    (9, "zwarn_nodata"),
    (10, "zwarn_bad_minfit"),
    (11, "zwarn_poordata"),
];

/// Decides about one target; `has_good_pixels` is whether its combined spectrum has any.
///
/// The order matters: what a fibre is comes before what was fitted to it.
pub(crate) fn judge(known: &Known<'_>, has_good_pixels: bool, rules: &Rules) -> Verdict {
    use State::{Empty, Failed, MissingUpstream, Skipped};

    if known.is_repeat {
        return Verdict::Leave(Failed, "repeated_targetid");
    }
    match known.objtype {
        Some("SKY") => return Verdict::Leave(Skipped, "sky"),
        Some("BAD") => return Verdict::Leave(Skipped, "bad_fibre"),
        _ => {}
    }
    if !has_good_pixels {
        return Verdict::Leave(Empty, "no_good_pixels");
    }
    let Some(redshift) = known.redshift else {
        return Verdict::Leave(MissingUpstream, "no_redshift");
    };
    if redshift.ambiguous {
        return Verdict::Leave(Failed, "ambiguous_redshift");
    }
    let hit = redshift.zwarn.unwrap_or(0) & rules.skip_zwarn;
    if hit != 0 {
        let known_reason = ZWARN_REASONS.iter().find(|(bit, _)| hit & (1 << bit) != 0);
        return Verdict::Leave(Skipped, known_reason.map_or("zwarn", |(_, reason)| reason));
    }
    if !(redshift.z >= rules.z_min && redshift.z <= rules.z_max) {
        return Verdict::Leave(Failed, "redshift_out_of_range");
    }
    match Class::from_spectype(redshift.spectype) {
        // A star's fitted shift is a velocity of some hundred km/s: its spectrum stays as observed.
        Some(Class::Star) => Verdict::Measure { class: Class::Star, z: 0.0 },
        Some(class) => Verdict::Measure { class, z: redshift.z },
        None => Verdict::Leave(Failed, "unknown_spectype"),
    }
}

/// Whether each row repeats the TARGETID of an earlier one.
pub(crate) fn repeats(targetid_s: &[i64]) -> Vec<bool> {
    let mut seen = BTreeSet::new();
    targetid_s.iter().map(|targetid| !seen.insert(*targetid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { skip_zwarn: 0b11_1000_0001, z_min: -0.01, z_max: 8.0 };

    fn redshift(z: f64, zwarn: i64) -> Redshift<'static> {
        Redshift { z, zwarn: Some(zwarn), spectype: "GALAXY", ambiguous: false }
    }

    fn known(redshift: Option<Redshift<'static>>) -> Known<'static> {
        Known { objtype: Some("TGT"), redshift, is_repeat: false }
    }

    #[test]
    fn a_good_target_is_measured_and_a_soft_zwarn_does_not_stop_it() {
        let expected = Verdict::Measure { class: Class::Galaxy, z: 0.5 };
        assert_eq!(judge(&known(Some(redshift(0.5, 0))), true, &RULES), expected);
        assert_eq!(judge(&known(Some(redshift(0.5, 4))), true, &RULES), expected);
    }

    #[test]
    fn a_star_is_measured_as_observed() {
        let star = Redshift { spectype: "STAR", ..redshift(0.0004, 0) };
        assert_eq!(judge(&known(Some(star)), true, &RULES), Verdict::Measure { class: Class::Star, z: 0.0 });
    }

    #[test]
    fn absurd_redshifts_fail_with_a_reason() {
        for z in [-1.0, 20.0, f64::NAN, f64::INFINITY] {
            let verdict = judge(&known(Some(redshift(z, 0))), true, &RULES);
            assert_eq!(verdict, Verdict::Leave(State::Failed, "redshift_out_of_range"), "{z}");
        }
    }

    #[test]
    fn what_a_fibre_is_comes_before_what_was_fitted_to_it() {
        let sky = Known { objtype: Some("SKY"), ..known(None) };
        assert_eq!(judge(&sky, false, &RULES), Verdict::Leave(State::Skipped, "sky"));
        assert_eq!(judge(&known(None), false, &RULES), Verdict::Leave(State::Empty, "no_good_pixels"));
        assert_eq!(judge(&known(None), true, &RULES), Verdict::Leave(State::MissingUpstream, "no_redshift"));
        let nodata = judge(&known(Some(redshift(0.5, 1 << 9))), true, &RULES);
        assert_eq!(nodata, Verdict::Leave(State::Skipped, "zwarn_nodata"));
        // OBJTYPE may be blank or absent in real files.
        for objtype in [Some(""), None] {
            let target = Known { objtype, ..known(Some(redshift(0.5, 0))) };
            assert!(matches!(judge(&target, true, &RULES), Verdict::Measure { .. }));
        }
    }

    #[test]
    fn the_second_row_of_a_target_fails_and_the_first_does_not() {
        assert_eq!(repeats(&[5, -3, 5, 5]), [false, false, true, true]);
        let repeat = Known { is_repeat: true, ..known(Some(redshift(0.5, 0))) };
        assert_eq!(judge(&repeat, true, &RULES), Verdict::Leave(State::Failed, "repeated_targetid"));
    }
}
