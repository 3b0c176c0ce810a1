//! From a batch of arms to rows: every operation in the order the light needs it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use specmill_kernels::ops::combine_arms::used_arms;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::{ArmBatch, ArmSpectra, Backend, KernelError, SpectraBatch};
use specmill_schemas::features::flags;
use specmill_schemas::list_item;

use crate::class::Class;
use crate::fits::CoaddBatch;
use crate::ledger::{RowCounts, State};
use crate::plan::Plan;
use crate::stages::batches::DeviceFull;

use super::features;
use super::photometry::Photometry;
use super::target::{Rules, Verdict, judge};
use super::unit::UnitContext;
use super::windows::{BandNumbers, WindowTables};

/// Everything a batch needs that does not change during a run.
pub(super) struct Tables {
    pub(super) curve: ExtinctionCurve,
    pub(super) snr_ranges: SnrRanges,
    pub(super) windows: WindowTables,
    pub(super) rules: Rules,
    pub(super) features_schema: SchemaRef,
    /// In the order of [`Class::ALL`].
    pub(super) spectra_schemas: [SchemaRef; 3],
}

/// What a batch gave.
pub(super) struct Measured {
    pub(super) features: RecordBatch,
    pub(super) spectra: Vec<(Class, RecordBatch)>,
    pub(super) counts: RowCounts,
}

/// Why a batch could not be measured; its unit fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeasureError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("rows disagree with the schema")]
    Batch(#[from] ArrowError),
}

impl MeasureError {
    /// What the device said, where it is about it.
    pub(super) fn kernel(&self) -> Option<&KernelError> {
        match self {
            Self::Kernel(error) => Some(error),
            Self::Batch(_) => None,
        }
    }
}

impl DeviceFull for MeasureError {
    fn is_device_full(&self) -> bool {
        self.kernel().is_some_and(KernelError::is_device_full)
    }
}

/// Numbers per row that the feature columns are made from.
#[derive(Default)]
pub(super) struct RowNumbers {
    pub(super) verdict_s: Vec<Verdict>,
    pub(super) flags_s: Vec<i32>,
    pub(super) ebv_s: Vec<Option<f32>>,
    pub(super) n_good_s: Vec<i32>,
    /// Good pixels whose mask is not 0.
    pub(super) n_masked_s: Vec<i32>,
    pub(super) n_bad_s: Vec<i32>,
    /// [s, 3]; `None` where the arm is absent.
    pub(super) snr_sa: Vec<[Option<f32>; 3]>,
    pub(super) bands: BandNumbers,
    pub(super) photometry_s: Vec<Photometry>,
}

impl RowNumbers {
    /// Adds the rows that follow.
    fn append(&mut self, next: Self) {
        self.verdict_s.extend(next.verdict_s);
        self.flags_s.extend(next.flags_s);
        self.ebv_s.extend(next.ebv_s);
        self.n_good_s.extend(next.n_good_s);
        self.n_masked_s.extend(next.n_masked_s);
        self.n_bad_s.extend(next.n_bad_s);
        self.snr_sa.extend(next.snr_sa);
        self.bands.append(next.bands);
        self.photometry_s.extend(next.photometry_s);
    }
}

/// Measures some rows of a batch of a unit.
pub(super) fn measure_batch<B: Backend>(
    dev: &B,
    plan: &Plan,
    tables: &Tables,
    unit: &UnitContext,
    batch: &CoaddBatch,
    rows: Range<usize>,
) -> Result<Measured, MeasureError> {
    let fiberstatus_s = match &unit.fibermap.coadd_fiberstatus {
        Some(status) => Cow::Borrowed(&status[batch.rows.clone()]),
        None => Cow::Owned(vec![0; batch.rows.len()]),
    };
    let task = Task { dev, plan, tables, unit, batch, fiberstatus_s: &fiberstatus_s };
    let mut numbers = RowNumbers::default();
    let mut spectra = Vec::new();
    for (more_numbers, more_spectra) in dev.in_pieces(rows.clone(), |rows| task.measure(rows))? {
        numbers.append(more_numbers);
        spectra.extend(more_spectra);
    }
    let counts = count_rows(&numbers.verdict_s);
    let features = features::rows(plan, tables, unit, task.file_rows(&rows), &numbers)?;
    Ok(Measured { features, spectra, counts })
}

/// A batch, and everything that measuring it takes.
struct Task<'a, B> {
    dev: &'a B,
    plan: &'a Plan,
    tables: &'a Tables,
    unit: &'a UnitContext,
    batch: &'a CoaddBatch,
    fiberstatus_s: &'a [i32],
}

impl<B: Backend> Task<'_, B> {
    /// Rows of the batch as rows of the file.
    fn file_rows(&self, rows: &Range<usize>) -> Range<usize> {
        self.batch.rows.start + rows.start..self.batch.rows.start + rows.end
    }

    /// Numbers and rest-frame spectra of some rows.
    fn measure(&self, rows: Range<usize>) -> Result<(RowNumbers, Vec<(Class, RecordBatch)>), MeasureError> {
        let Self { dev, plan, tables, unit, .. } = *self;
        let first_row = self.file_rows(&rows).start;
        let arms = ArmSpectra::upload_rows(dev, &self.batch.arms, rows.clone(), self.fiberstatus_s)?;
        let snr = dev.fetch(dev.median_snr_arms(&arms, &plan.grid, &tables.snr_ranges)?)?;
        let mut observed = dev.combine_arms(&arms, &plan.grid, plan.mask_rule)?;
        drop(arms);
        let pixels = dev.count_pixels(&observed)?;
        let counts = (dev.fetch(pixels.n_good_s)?, dev.fetch(pixels.n_masked_s)?);
        let mut numbers = self.judge(rows, &counts);
        numbers.snr_sa = snr_per_arm(&snr, unit);

        let measured_rows: Vec<(usize, f64)> = chosen(&numbers.verdict_s, None);
        let curves = &tables.windows.curves;
        numbers.photometry_s = curves.measure(dev, &observed, unit, first_row, &measured_rows)?;
        if plan.run_file.extract.correct_extinction {
            let ebv_s: Vec<f32> = numbers.ebv_s.iter().map(|ebv| ebv.unwrap_or(0.0)).collect();
            dev.correct_extinction(&mut observed, &tables.curve, &ebv_s)?;
        }
        numbers.bands = tables.windows.measure(dev, &observed, &plan.grid, &numbers.verdict_s)?;
        let spectra = rest_spectra(dev, plan, tables, unit, (first_row, &observed, &numbers.verdict_s))?;
        Ok((numbers, spectra))
    }

    /// What becomes of some rows with so many good and masked pixels.
    fn judge(&self, rows: Range<usize>, (good_s, masked_s): &(Vec<u32>, Vec<u32>)) -> RowNumbers {
        let Self { plan, unit, .. } = *self;
        let mut numbers =
            RowNumbers { n_bad_s: count_bad_pixels(&self.batch.arms, rows.clone()), ..RowNumbers::default() };
        let fiberstatus_s = &self.fiberstatus_s[rows.clone()];
        let pixels = good_s.iter().zip(masked_s).zip(fiberstatus_s);
        for (row, ((good, masked), fiberstatus)) in self.file_rows(&rows).zip(pixels) {
            numbers.n_good_s.push(pixel_count(*good));
            numbers.n_masked_s.push(pixel_count(*masked));
            numbers.verdict_s.push(judge(&unit.known(row), *good > 0, &self.tables.rules));
            numbers.ebv_s.push(usable_ebv(unit, row));
            let flags = row_flags(unit, row, &numbers, *fiberstatus, plan);
            numbers.flags_s.push(flags);
        }
        numbers
    }
}

/// Rows of the batch that are to be measured, of one class or of all, with their redshifts.
pub(super) fn chosen(verdict_s: &[Verdict], class: Option<Class>) -> Vec<(usize, f64)> {
    verdict_s
        .iter()
        .enumerate()
        .filter_map(|(s, verdict)| match verdict {
            Verdict::Measure { class: own, z } if class.is_none_or(|class| class == *own) => Some((s, *z)),
            Verdict::Measure { .. } | Verdict::Leave(..) => None,
        })
        .collect()
}

fn snr_per_arm(snr_sa: &[f32], unit: &UnitContext) -> Vec<[Option<f32>; 3]> {
    snr_sa
        .chunks_exact(3)
        .map(|snr_a| {
            let mut row = [None; 3];
            for ((value, snr), present) in row.iter_mut().zip(snr_a).zip(unit.arm_present) {
                *value = present.then_some(*snr);
            }
            row
        })
        .collect()
}

/// E(B−V) where the file has a usable one.
fn usable_ebv(unit: &UnitContext, row: usize) -> Option<f32> {
    // SFD's map stays below 10 mag outside the inner Galactic plane, where DESI does not look.
    const LARGEST: f32 = 10.0;
    let ebv = *unit.fibermap.ebv.as_ref()?.get(row)?;
    (0.0..=LARGEST).contains(&ebv).then_some(ebv)
}

fn row_flags(unit: &UnitContext, row: usize, numbers: &RowNumbers, fiberstatus: i32, plan: &Plan) -> i32 {
    let s = numbers.n_good_s.len() - 1;
    let mut bits = 0;
    if plan.run_file.extract.correct_extinction && numbers.ebv_s[s].is_none() {
        bits |= flags::NO_EBV;
    }
    if numbers.n_bad_s[s] > 0 {
        bits |= flags::BAD_PIXELS;
    }
    let zwarn = unit.redshifts[row].as_ref().and_then(|redshift| redshift.zwarn);
    if zwarn.is_some_and(|zwarn| zwarn != 0) {
        bits |= flags::ZWARN;
    }
    if used_arms(plan.mask_rule, fiberstatus).contains(&false) || unit.arm_present.contains(&false) {
        bits |= flags::ARM_MISSING;
    }
    bits
}

/// Pixels of each of some rows, over all arms, that are not finite or have a negative ivar.
fn count_bad_pixels(arms: &[ArmBatch; 3], rows: Range<usize>) -> Vec<i32> {
    // Comparisons with NaN are false, and comparisons are vector instructions everywhere.
    let is_bad = |flux: f32, ivar: f32| !((flux.abs() <= f32::MAX) & (0.0..=f32::MAX).contains(&ivar));
    let of_row = |row: usize| {
        let of_arm = |arm: &ArmBatch| -> u32 {
            let pixels = row * arm.n_pixels..(row + 1) * arm.n_pixels;
            let (flux_p, ivar_p) = (&arm.flux_sp[pixels.clone()], &arm.ivar_sp[pixels]);
            flux_p.iter().zip(ivar_p).map(|(&flux, &ivar)| u32::from(is_bad(flux, ivar))).sum()
        };
        pixel_count(arms.iter().map(of_arm).sum())
    };
    rows.map(of_row).collect()
}

fn count_rows(verdict_s: &[Verdict]) -> RowCounts {
    let mut counts = RowCounts::new();
    for verdict in verdict_s {
        let (state, reason) = match verdict {
            Verdict::Measure { .. } => (State::Done, ""),
            Verdict::Leave(state, reason) => (*state, *reason),
        };
        *counts.entry(state).or_default().entry(reason.to_owned()).or_default() += 1;
    }
    counts
}

/// First row of the batch in the file, its combined spectra, and what becomes of each.
type Combined<'a, B> = (usize, &'a SpectraBatch<B>, &'a [Verdict]);

fn rest_spectra<B: Backend>(
    dev: &B,
    plan: &Plan,
    tables: &Tables,
    unit: &UnitContext,
    (first_row, observed, verdict_s): Combined<'_, B>,
) -> Result<Vec<(Class, RecordBatch)>, MeasureError> {
    let mut batches = Vec::new();
    if !plan.run_file.extract.write_spectra {
        return Ok(batches);
    }
    for class in Class::ALL {
        let rows = chosen(verdict_s, Some(class));
        if rows.is_empty() {
            continue;
        }
        let rest = dev.to_rest_frame(observed, &plan.grid, &rows, plan.rest_grid(class))?;
        let length = i32::try_from(rest.n_pixels).unwrap_or(i32::MAX);
        let list = |values: Vec<f32>| -> Result<ArrayRef, ArrowError> {
            let values = Arc::new(Float32Array::from(values));
            Ok(Arc::new(FixedSizeListArray::try_new(Arc::new(list_item()), length, values, None)?))
        };
        let file_rows: Vec<usize> = rows.iter().map(|(s, _)| first_row + s).collect();
        let targetid = file_rows.iter().map(|row| unit.fibermap.targetid[*row]);
        let id = unit.input.id.to_string();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| &id))),
            Arc::new(Int64Array::from_iter_values(targetid)),
            Arc::new(Int32Array::from_iter_values(file_rows.iter().map(|row| row_number(*row)))),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|(_, z)| *z))),
            list(dev.fetch(rest.flux_sp)?)?,
            list(dev.fetch(rest.ivar_sp)?)?,
        ];
        let schema = Arc::clone(&tables.spectra_schemas[class.index()]);
        batches.push((class, RecordBatch::try_new(schema, columns)?));
    }
    Ok(batches)
}

/// A number of pixels as the tables hold it.
fn pixel_count(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// A row or pixel number as the tables hold it; FITS files of more than 2^31 targets do not exist.
pub(super) fn row_number(row: usize) -> i32 {
    i32::try_from(row).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_pixels_are_counted_in_every_arm_of_the_rows_asked_for() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        let arm = |flux_sp: &[f32], ivar_sp: &[f32]| ArmBatch {
            n_pixels: flux_sp.len() / 2,
            flux_sp: flux_sp.to_vec(),
            ivar_sp: ivar_sp.to_vec(),
            ..ArmBatch::default()
        };
        let arms = [
            arm(&[nan, 1.0, -infinity, f32::MAX], &[1.0, nan, 1.0, f32::MAX]),
            arm(&[], &[]),
            arm(&[0.0, 1.0, -0.0, 2.0, 3.0, 4.0], &[0.0, -1.0, -0.0, infinity, -infinity, 1e-45]),
        ];
        assert_eq!(count_bad_pixels(&arms, 0..2), [3, 3]);
        assert_eq!(count_bad_pixels(&arms, 1..2), [3]);
        assert!(count_bad_pixels(&arms, 2..2).is_empty());
    }
}
