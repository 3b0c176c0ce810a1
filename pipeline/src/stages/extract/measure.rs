//! From a batch of arms to rows: every operation in the order the light needs it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use ndarray::{ArrayView2, ShapeError};
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
use super::target::{Rules, Verdict, judge};
use super::unit::UnitContext;
use super::windows::WindowTables;

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
    /// In the order of [`Class::ALL`].
    pub(super) spectra: [Option<RecordBatch>; 3],
    pub(super) counts: RowCounts,
}

/// Why a batch could not be measured; its unit fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeasureError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("rows disagree with the schema")]
    Batch(#[from] ArrowError),
    #[error("a batch disagrees with its shape")]
    Shape(#[from] ShapeError),
}

impl MeasureError {
    /// What the device said, where it is about it.
    pub(super) fn kernel(&self) -> Option<&KernelError> {
        match self {
            Self::Kernel(error) => Some(error),
            Self::Batch(_) | Self::Shape(_) => None,
        }
    }
}

impl DeviceFull for MeasureError {
    fn is_device_full(&self) -> bool {
        self.kernel().is_some_and(KernelError::is_device_full)
    }
}

/// Numbers per row that the feature columns are made from.
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
}

/// Measures one batch of a unit.
pub(super) fn measure_batch<B: Backend>(
    dev: &B,
    plan: &Plan,
    tables: &Tables,
    unit: &UnitContext,
    batch: &CoaddBatch,
) -> Result<Measured, MeasureError> {
    let rows = batch.rows.clone();
    let n = rows.len();
    let fiberstatus_s: Vec<i32> = match &unit.fibermap.coadd_fiberstatus {
        Some(status) => status[rows.clone()].to_vec(),
        None => vec![0; n],
    };
    let arms = ArmSpectra::upload(dev, &batch.arms, &fiberstatus_s)?;
    let snr = dev.download(&dev.median_snr_arms(&arms, &plan.grid, &tables.snr_ranges)?)?;
    let mut observed = dev.combine_arms(&arms, &plan.grid, plan.mask_rule)?;
    let pixels = dev.count_pixels(&observed)?;
    let (good_s, masked_s) = (dev.download(&pixels.n_good_s)?, dev.download(&pixels.n_masked_s)?);

    let mut numbers = RowNumbers {
        verdict_s: Vec::with_capacity(n),
        flags_s: Vec::with_capacity(n),
        ebv_s: Vec::with_capacity(n),
        n_good_s: Vec::with_capacity(n),
        n_masked_s: Vec::with_capacity(n),
        n_bad_s: count_bad_pixels(&batch.arms, n)?,
        snr_sa: snr_per_arm(&snr, unit),
    };
    for ((s, row), (good, masked)) in rows.clone().enumerate().zip(good_s.into_iter().zip(masked_s)) {
        numbers.n_good_s.push(pixel_count(good));
        numbers.n_masked_s.push(pixel_count(masked));
        numbers.verdict_s.push(judge(&unit.known(row), good > 0, &tables.rules));
        numbers.ebv_s.push(usable_ebv(unit, row));
        let flags = row_flags(unit, row, &numbers, fiberstatus_s[s], plan);
        numbers.flags_s.push(flags);
    }
    let measured_rows: Vec<(usize, f64)> = chosen(&numbers.verdict_s, None);
    let synthetic = tables.windows.measure_synthetic(dev, &observed, unit, rows.start, &measured_rows)?;
    if plan.run_file.extract.correct_extinction {
        let ebv_s: Vec<f32> = numbers.ebv_s.iter().map(|ebv| ebv.unwrap_or(0.0)).collect();
        dev.correct_extinction(&mut observed, &tables.curve, &ebv_s)?;
    }
    let windows = tables.windows.measure(dev, &observed, &plan.grid, &numbers.verdict_s)?;
    let spectra = rest_spectra(dev, plan, tables, unit, (rows.start, &observed, &numbers.verdict_s))?;
    let counts = count_rows(&numbers.verdict_s);
    let features = features::rows(plan, tables, unit, rows, &numbers, (&windows, &synthetic))?;
    Ok(Measured { features, spectra, counts })
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

/// Pixels of each row, over all arms, that are not finite or have a negative ivar.
fn count_bad_pixels(arms: &[ArmBatch; 3], n_spectra: usize) -> Result<Vec<i32>, ShapeError> {
    let is_bad = |(flux, ivar): (&f32, &f32)| !(flux.is_finite() && ivar.is_finite() && *ivar >= 0.0);
    let mut n_bad_s = vec![0; n_spectra];
    for arm in arms {
        let shape = (n_spectra, arm.n_pixels);
        let flux_sp = ArrayView2::from_shape(shape, &arm.flux_sp)?;
        let ivar_sp = ArrayView2::from_shape(shape, &arm.ivar_sp)?;
        for (n_bad, (flux_p, ivar_p)) in
            n_bad_s.iter_mut().zip(flux_sp.outer_iter().zip(ivar_sp.outer_iter()))
        {
            *n_bad += row_number(flux_p.iter().zip(ivar_p).filter(|pixel| is_bad(*pixel)).count());
        }
    }
    Ok(n_bad_s)
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
) -> Result<[Option<RecordBatch>; 3], MeasureError> {
    let mut batches = [None, None, None];
    if !plan.run_file.extract.write_spectra {
        return Ok(batches);
    }
    for class in Class::ALL {
        let rows = chosen(verdict_s, Some(class));
        if rows.is_empty() {
            continue;
        }
        let rest = dev.to_rest_frame(observed, &plan.grid, &rows, plan.rest_grid(class))?;
        let list = |values: Vec<f32>| -> Result<ArrayRef, ArrowError> {
            let length = i32::try_from(rest.n_pixels).unwrap_or(i32::MAX);
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
            list(dev.download(&rest.flux_sp)?)?,
            list(dev.download(&rest.ivar_sp)?)?,
        ];
        let schema = Arc::clone(&tables.spectra_schemas[class.index()]);
        batches[class.index()] = Some(RecordBatch::try_new(schema, columns)?);
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
