//! What there is to draw: the target's row of `features/`, and its spectrum read again.

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::compute::kernels::cmp;
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use parquet::errors::ParquetError;
use rayon::prelude::*;
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::{ArmBatch, ArmSpectra, Backend, Cpu, Grid, SpectraBatch};

use crate::class::Class;
use crate::error::{Error, Result};
use crate::fits::{CoaddBatch, CoaddFile};
use crate::inventory::{Inventory, InventoryEntry};
use crate::ledger::State;
use crate::plan::Plan;
use crate::stages::extract::{features_path, median_width_aa};
use crate::unit::UnitId;

/// One target: what was measured, and the spectrum it was measured on.
pub(super) struct Target {
    pub(super) targetid: i64,
    pub(super) unit: UnitId,
    /// Other units that hold it.
    pub(super) elsewhere: Vec<UnitId>,
    pub(super) row: FeatureRow,
    /// Class and redshift; `None` where the target was not measured.
    pub(super) class: Option<Class>,
    pub(super) z: Option<f64>,
    pub(super) grid: Grid,
    /// Whether Galactic extinction was removed.
    pub(super) corrected: bool,
    /// Arms b, r, z as on disk, extinction removed like in `combined`; `None` where absent.
    pub(super) arms: [Option<Pixels>; 3],
    /// What the measurements saw.
    pub(super) combined: Pixels,
    /// Whether any arm's MASK is set, [p].
    pub(super) masked_p: Vec<bool>,
    /// The running median, [p]; empty where the target was not measured.
    pub(super) continuum_p: Vec<Option<f64>>,
}

/// A spectrum on the combined grid, [p].
///
/// # Masking
/// `ivar_p == 0` is a missing pixel.
pub(super) struct Pixels {
    pub(super) flux_p: Vec<f64>,
    pub(super) ivar_p: Vec<f64>,
}

impl Target {
    /// State and reason of a target that was not measured.
    pub(super) fn why_not(&self) -> String {
        let state = self.row.text("state").unwrap_or_default();
        match self.row.text("reason") {
            Some(reason) => format!("{state} ({})", reason.replace('_', " ")),
            None => state.to_owned(),
        }
    }
}

/// One row of `features/`.
pub(super) struct FeatureRow(RecordBatch);

/// A value with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) value: f64,
    pub(super) err: f64,
}

impl FeatureRow {
    fn valid(&self, name: &str) -> Option<&dyn Array> {
        self.0.column_by_name(name).map(AsRef::as_ref).filter(|column: &&dyn Array| column.is_valid(0))
    }

    /// A number; `None` where it is NULL.
    pub(super) fn float(&self, name: &str) -> Option<f64> {
        let column = self.valid(name)?;
        let single = column.as_primitive_opt::<Float32Type>().map(|values| f64::from(values.value(0)));
        single.or_else(|| Some(column.as_primitive_opt::<Float64Type>()?.value(0)))
    }

    /// An integer; `None` where it is NULL.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        let column = self.valid(name)?;
        let short = column.as_primitive_opt::<Int16Type>().map(|values| i64::from(values.value(0)));
        let int = || Some(i64::from(column.as_primitive_opt::<Int32Type>()?.value(0)));
        short.or_else(int).or_else(|| Some(column.as_primitive_opt::<Int64Type>()?.value(0)))
    }

    /// A text that is neither NULL nor empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let column = self.valid(name)?.as_string_opt::<i32>()?;
        Some(column.value(0)).filter(|text| !text.is_empty())
    }

    /// `<name>` with its error from `<name>_ivar`.
    pub(super) fn with_ivar(&self, name: &str) -> Option<Measured> {
        let ivar = self.float(&format!("{name}_ivar")).filter(|ivar| *ivar > 0.0)?;
        Some(Measured { value: self.float(name)?, err: 1.0 / ivar.sqrt() })
    }

    /// `<name>` with its error from `<name>_err`.
    pub(super) fn with_err(&self, name: &str) -> Option<Measured> {
        Some(Measured { value: self.float(name)?, err: self.float(&format!("{name}_err"))? })
    }
}

/// Finds the target and reads what is to be drawn of it.
///
/// # Errors
/// [`Error::NoSuchTarget`] where no unit's features hold it; otherwise what reading reports.
pub(super) fn read(
    plan: &Plan,
    inventory: &Inventory,
    targetid: i64,
    unit_prefix: Option<&str>,
) -> Result<Target> {
    let prefix = unit_prefix.unwrap_or_default();
    let found: Vec<(&InventoryEntry, &UnitId, FeatureRow)> = inventory
        .entries
        .par_iter()
        .filter_map(|entry| Some((entry, entry.unit.as_ref()?)))
        .filter(|(_, unit)| unit.to_string().starts_with(prefix))
        .map(|(entry, unit)| Ok(find_row(plan, unit, targetid)?.map(|row| (entry, unit, row))))
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    let elsewhere = found.iter().skip(1).map(|(_, unit, _)| (*unit).clone()).collect();
    let Some((entry, unit, row)) = found.into_iter().next() else {
        return Err(Error::NoSuchTarget { targetid, folder: plan.folder.clone() });
    };
    if row.text("stage_hash") != Some(plan.extract_hash.as_str()) {
        tracing::warn!("the run file has changed since {unit} was measured");
    }
    let spectrum = read_spectrum(plan, entry, targetid, &row)?;
    let measured = row.text("state") == Some(State::Done.name());
    let class = row.text("spectype").and_then(Class::from_spectype).filter(|_| measured);
    let z = row.float("z").filter(|_| measured);
    let corrected = plan.run_file.extract.correct_extinction && row.float("ebv").is_some();
    combine(plan, &spectrum, &row, class.zip(z)).map(|drawn| Target {
        targetid,
        unit: unit.clone(),
        elsewhere,
        row,
        class,
        z,
        grid: plan.grid,
        corrected,
        arms: drawn.arms,
        combined: drawn.combined,
        masked_p: masked_pixels(&spectrum, plan.grid.n_pixels),
        continuum_p: drawn.continuum_p,
    })
}

/// The target's first row in a unit's features; nothing where the unit has none.
fn find_row(plan: &Plan, unit: &UnitId, targetid: i64) -> Result<Option<FeatureRow>> {
    let path = features_path(&plan.folder, unit);
    let file = match fs_err::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Io { what: "cannot read features".to_owned(), source: error }),
    };
    first_match(file.into_parts().0, targetid)
        .map_err(|source| Error::Parquet { path, source: Box::new(source) })
}

fn first_match(file: std::fs::File, targetid: i64) -> std::result::Result<Option<FeatureRow>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let key = ProjectionMask::columns(builder.parquet_schema(), ["targetid"]);
    let wanted = Int64Array::new_scalar(targetid);
    let is_target = ArrowPredicateFn::new(key, move |batch| cmp::eq(batch.column(0), &wanted));
    let reader = builder.with_row_filter(RowFilter::new(vec![Box::new(is_target)])).build()?;
    for batch in reader {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(Some(FeatureRow(batch.slice(0, 1))));
        }
    }
    Ok(None)
}

fn read_spectrum(
    plan: &Plan,
    entry: &InventoryEntry,
    targetid: i64,
    row: &FeatureRow,
) -> Result<[ArmBatch; 3]> {
    let gone = || Error::NoSuchTarget { targetid, folder: plan.run_file.input.root.clone() };
    let coadd = entry.coadd.as_ref().ok_or_else(gone)?;
    let mut file = CoaddFile::open(plan.run_file.input.root.join(&coadd.path))?;
    let row = row.integer("row").and_then(|row| usize::try_from(row).ok()).ok_or_else(gone)?;
    // The file may have been replaced since it was measured.
    if file.fibermap()?.targetid.get(row) != Some(&targetid) {
        return Err(gone());
    }
    let mut batch = CoaddBatch::default();
    file.read_rows(row..row + 1, &mut batch)?;
    Ok(batch.arms)
}

struct Drawn {
    arms: [Option<Pixels>; 3],
    combined: Pixels,
    continuum_p: Vec<Option<f64>>,
}

/// The operations of `extract`, in its order, on one row.
fn combine(
    plan: &Plan,
    arms: &[ArmBatch; 3],
    row: &FeatureRow,
    measured: Option<(Class, f64)>,
) -> Result<Drawn> {
    let dev = Cpu::new(1)?;
    let curve = ExtinctionCurve::fitzpatrick99(&plan.grid);
    #[expect(clippy::cast_possible_truncation, reason = "the column is single precision")]
    let ebv = row.float("ebv").unwrap_or(0.0) as f32;
    let corrected = |arms: &[ArmBatch; 3], fiberstatus: i32, rule: MaskRule| -> Result<SpectraBatch<Cpu>> {
        let arms = ArmSpectra::upload(&dev, arms, &[fiberstatus])?;
        let mut spectra = dev.combine_arms(&arms, &plan.grid, rule)?;
        if plan.run_file.extract.correct_extinction {
            dev.correct_extinction(&mut spectra, &curve, &[ebv])?;
        }
        Ok(spectra)
    };
    let fiberstatus = row.integer("coadd_fiberstatus").and_then(|bits| i32::try_from(bits).ok()).unwrap_or(0);
    let combined = corrected(arms, fiberstatus, plan.mask_rule)?;
    let mut continuum_p = Vec::new();
    if let Some((class, z)) = measured {
        let median = dev.running_median(&combined, &plan.grid, &[(0, z)], median_width_aa(class))?;
        let valid = dev.download(&median.valid_sp)?;
        let flux = dev.download(&median.flux_sp)?;
        continuum_p =
            flux.iter().zip(valid).map(|(f, valid)| (valid == 1).then_some(f64::from(*f))).collect();
    }
    let mut alone = [None, None, None];
    for (a, (arm, alone)) in arms.iter().zip(&mut alone).enumerate() {
        if arm.n_pixels > 0 {
            let mut only = [ArmBatch::default(), ArmBatch::default(), ArmBatch::default()];
            only[a] = arm.clone();
            // Masked pixels and arms that were dropped are drawn too: people should see why.
            *alone = Some(pixels(&dev, &corrected(&only, 0, MaskRule::V070)?)?);
        }
    }
    Ok(Drawn { arms: alone, combined: pixels(&dev, &combined)?, continuum_p })
}

fn pixels(dev: &Cpu, spectra: &SpectraBatch<Cpu>) -> Result<Pixels> {
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    Ok(Pixels {
        flux_p: wide(dev.download(&spectra.flux_sp)?),
        ivar_p: wide(dev.download(&spectra.ivar_sp)?),
    })
}

fn masked_pixels(arms: &[ArmBatch; 3], n_pixels: usize) -> Vec<bool> {
    let mut masked_p = vec![false; n_pixels];
    for arm in arms {
        for (masked, mask) in masked_p.iter_mut().skip(arm.first_pixel).zip(&arm.mask_sp) {
            *masked |= *mask != 0;
        }
    }
    masked_p
}
