//! The rows of `features/`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Int16Array, RecordBatch};
use arrow::error::ArrowError;
use specmill_schemas::features::{ARMS, TARGET_BITS, TSNR2};

use crate::columns::Columns;
use crate::ledger::State;
use crate::plan::Plan;
use crate::unit::UnitId;

use super::measure::{RowNumbers, Tables, row_number};
use super::photometry::put_photometry;
use super::target::Verdict;
use super::unit::UnitContext;

/// Builds one row for each row of the coadd in `rows`.
pub(super) fn rows(
    plan: &Plan,
    tables: &Tables,
    unit: &UnitContext,
    rows: Range<usize>,
    numbers: &RowNumbers,
) -> Result<RecordBatch, ArrowError> {
    let mut columns = Columns::new(rows.len());
    put_identity(&mut columns, plan, unit, rows.clone());
    put_verdicts(&mut columns, &numbers.verdict_s);
    put_redshifts(&mut columns, unit, rows.clone());
    let first_row = rows.start;
    put_targeting(&mut columns, unit, rows);
    columns.float32("ebv", numbers.ebv_s.iter().copied());
    columns.int32("flags", numbers.flags_s.iter().copied().map(Some));
    columns.int32("n_good_pixels", numbers.n_good_s.iter().copied().map(Some));
    columns.int32("n_masked_pixels", numbers.n_masked_s.iter().copied().map(Some));
    columns.int32("n_bad_pixels", numbers.n_bad_s.iter().copied().map(Some));
    for (a, arm) in ARMS.iter().enumerate() {
        let snr = numbers.verdict_s.iter().zip(&numbers.snr_sa);
        columns.float32(
            format!("snr_{arm}"),
            snr.map(|(verdict, snr_a)| snr_a[a].filter(|_| matches!(verdict, Verdict::Measure { .. }))),
        );
    }
    tables.windows.put_columns(&mut columns, &numbers.bands, &numbers.verdict_s);
    put_photometry(&mut columns, unit, first_row, &numbers.photometry_s);
    columns.into_batch(&tables.features_schema)
}

fn put_identity(columns: &mut Columns, plan: &Plan, unit: &UnitContext, rows: Range<usize>) {
    let n = rows.len();
    let input = &unit.input;
    let same_text = |text: Option<String>| std::iter::repeat_n(text, n);
    columns.text("unit", same_text(Some(input.id.to_string())));
    columns.text("specprod", same_text(input.id.specprod().map(str::to_owned)));
    columns.text("stage_hash", same_text(Some(plan.extract_hash.clone())));
    columns.text("coadd_sha256", same_text(input.coadd_sha256().map(str::to_owned)));
    columns.int32("row", rows.map(|row| Some(row_number(row))));
    match &input.id {
        UnitId::Healpix { survey, program, nside, pixel, .. } => {
            columns.text("survey", same_text(Some(survey.clone())));
            columns.text("program", same_text(Some(program.clone())));
            columns.int32("nside", std::iter::repeat_n(i32::try_from(*nside).ok(), n));
            columns.int64("healpix", std::iter::repeat_n(i64::try_from(*pixel).ok(), n));
        }
        UnitId::Tile { tileid, petal, night, .. } => {
            columns.text("survey", same_text(input.survey.clone()));
            columns.text("program", same_text(input.program.clone()));
            columns.int32("tileid", std::iter::repeat_n(i32::try_from(*tileid).ok(), n));
            let petal = Int16Array::from(vec![i16::from(*petal); n]);
            columns.put("petal", Arc::new(petal));
            columns.int32("night", std::iter::repeat_n(i32::try_from(*night).ok(), n));
        }
        // No coadd is a model's.
        UnitId::Model { .. } | UnitId::Catalog { .. } => {}
    }
}

fn put_verdicts(columns: &mut Columns, verdict_s: &[Verdict]) {
    let state = |verdict: &Verdict| match verdict {
        Verdict::Measure { .. } => State::Done.name(),
        Verdict::Leave(state, _) => state.name(),
    };
    let reason = |verdict: &Verdict| match verdict {
        Verdict::Measure { .. } => None,
        Verdict::Leave(_, reason) => Some(*reason),
    };
    columns.text("state", verdict_s.iter().map(|verdict| Some(state(verdict))));
    columns.text("reason", verdict_s.iter().map(reason));
}

fn put_redshifts(columns: &mut Columns, unit: &UnitContext, rows: Range<usize>) {
    let redshifts = &unit.redshifts[rows];
    let each = || redshifts.iter().map(Option::as_ref);
    columns.float64("z", each().map(|redshift| redshift?.z));
    #[expect(clippy::cast_possible_truncation, reason = "an error needs no more than single precision")]
    columns.float32("zerr", each().map(|redshift| redshift?.zerr.map(|zerr| zerr as f32)));
    columns.int64("zwarn", each().map(|redshift| redshift?.zwarn));
    columns.float64("deltachi2", each().map(|redshift| redshift?.deltachi2));
    columns.text(
        "spectype",
        each().map(|redshift| redshift.map(|r| r.spectype.as_str()).filter(|t| !t.is_empty())),
    );
    columns.text("subtype", each().map(|redshift| redshift?.subtype.as_deref()));
}

fn put_targeting(columns: &mut Columns, unit: &UnitContext, rows: Range<usize>) {
    let fibermap = &unit.fibermap;
    let finite = |values: &Option<Vec<f64>>| -> Vec<Option<f64>> {
        rows.clone().map(|row| values.as_ref().map(|values| values[row]).filter(|v| v.is_finite())).collect()
    };
    columns.int64("targetid", rows.clone().map(|row| Some(fibermap.targetid[row])));
    columns.float64("ra", finite(&fibermap.target_ra).into_iter());
    columns.float64("dec", finite(&fibermap.target_dec).into_iter());
    let objtype = fibermap.objtype.as_ref();
    columns.text("objtype", rows.clone().map(|row| objtype.map(|objtype| objtype[row].as_str())));
    let status = fibermap.coadd_fiberstatus.as_ref();
    columns.int32("coadd_fiberstatus", rows.clone().map(|row| status.map(|status| status[row])));
    for name in TARGET_BITS {
        let bits = match name {
            "desi_target" => fibermap.desi_target.as_ref(),
            _ => fibermap.target_bits.get(&name.to_uppercase()),
        };
        columns.int64(name, rows.clone().map(|row| bits.map(|bits| bits[row])));
    }
    for class in TSNR2 {
        let arms: Vec<&Vec<f32>> = ["B", "R", "Z"]
            .iter()
            .filter_map(|arm| fibermap.tsnr2.as_ref()?.get(&format!("TSNR2_{}_{arm}", class.to_uppercase())))
            .collect();
        let sum = |row: usize| -> Option<f32> {
            // Added in f32 over B, R, Z, as DESI does; a missing arm counts 0.
            let sum = arms.iter().fold(0.0_f32, |sum, arm| sum + arm[row]);
            (!arms.is_empty() && sum.is_finite()).then_some(sum)
        };
        columns.float32(format!("tsnr2_{class}"), rows.clone().map(sum));
    }
}
