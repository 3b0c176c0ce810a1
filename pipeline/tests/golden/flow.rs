//! `features/` and `spectra/` of whole runs against `scalars.parquet` and `rest.parquet`.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, FixedSizeListArray, Float32Array, Float64Array, Int32Array};
use specmill::class::Class;
use specmill::unit::UnitId;

use super::case::Case;
use super::{Run, Table, Worst, report};

/// Rest-frame flux, of the local maximum: what f32 sums of about ten products leave, with room.
const REST_FLUX_TOLERANCE: f64 = 2e-5;
/// Rest-frame ivar, of the spectrum's maximum.
const REST_IVAR_TOLERANCE: f64 = 1e-5;
/// Below this share of the largest ivar a bin's flux is the quotient of two roundings.
const REST_IVAR_FLOOR: f64 = 1e-6;

/// A median of f64 products of the stored f32, then cast to f32.
const SNR_TOLERANCE: f64 = 2e-7;
/// Against FastSpecFit's own function, as agreed before the first run; what `ROUNDING` allows is less.
const DN4000_W_TOLERANCE: f64 = 1e-3;
/// Our pixels are f32: combined (3e-7) and corrected for extinction (3e-7), they differ from the
/// f64 pixels by up to 6e-7 of the flux, and so does any ratio of sums.
const ROUNDING: f64 = 1e-6;
/// Where sums cancel (a line above its continuum, an index near 0) the same roundings are measured
/// against the value's own standard error. They are independent from pixel to pixel, as the noise
/// is, so they are to it as 6e-7 of the flux to the flux over S/N: 6e-5 at S/N 100 per pixel, more
/// than any target here has.
const ROUNDING_SIGMA: f64 = 1e-4;
/// An error follows from the pixels' ivar, 2e-7 each and twice that after extinction, and in ratios
/// from the values, whose roundings it takes over a few times.
const IVAR_TOLERANCE: f64 = 1e-5;

/// How many golden numbers agreed, and how closely, by kind of quantity.
type Closeness = BTreeMap<String, Worst>;

/// Runs the executor over the tree and compares all it left; the quantities measured come back.
pub(super) fn compare(case: &Case) -> BTreeSet<String> {
    let (rest, scalars) = (case.golden("rest"), case.golden("scalars"));
    let mut closeness = Closeness::new();
    let mut quantities = BTreeSet::new();
    let (mut covered, mut left) = (0, BTreeMap::new());
    for (prefix, run_file) in case.run_files() {
        let run = Run::of(run_file);
        for (unit, rows) in rows_by_unit(&rest, prefix) {
            covered += rows.len();
            compare_rest(&run, &unit, &rest, &rows, &mut closeness);
        }
        for (unit, rows) in rows_by_unit(&scalars, prefix) {
            covered += rows.len();
            let features = run.features(&unit);
            compare_scalars(&features, &scalars, &rows, &mut closeness, &mut quantities);
            for row in 0..features.len() {
                let reason = features.text("reason");
                if reason.is_valid(row) {
                    *left.entry(reason.value(row).to_owned()).or_insert(0) += 1;
                }
            }
        }
    }
    assert_eq!(covered, rest.len() + scalars.len(), "every golden row belongs to one run");
    // Nothing else may keep a target with a redshift from being measured.
    for reason in left.keys() {
        assert!(["sky", "no_good_pixels", "no_redshift"].contains(&reason.as_str()), "{left:?}");
    }
    for (kind, worst) in &closeness {
        report(&format!("{kind}: {} compared, worst {:.4} of the tolerance", worst.compared, worst.share));
    }
    report(&format!("rows left out: {left:?}"));
    quantities
}

/// The rows of a golden table by unit, for units that begin with `prefix`.
fn rows_by_unit(golden: &Table, prefix: &str) -> BTreeMap<UnitId, Vec<usize>> {
    let mut rows: BTreeMap<UnitId, Vec<usize>> = BTreeMap::new();
    for (i, unit) in golden.text("unit").iter().enumerate() {
        let unit = unit.unwrap();
        if unit.starts_with(prefix) {
            rows.entry(unit.parse().unwrap()).or_default().push(i);
        }
    }
    rows
}

/// Row of the coadd → row of a table of ours.
fn by_coadd_row(table: &Table) -> BTreeMap<i32, usize> {
    table.column::<Int32Array>("row").iter().map(Option::unwrap).zip(0..).collect()
}

fn compare_rest(run: &Run, unit: &UnitId, golden: &Table, rows: &[usize], closeness: &mut Closeness) {
    let reason = run.features(unit);
    let reason = (by_coadd_row(&reason), reason.text("reason").clone());
    for class in Class::ALL {
        let rows: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|&i| golden.text("class").value(i).eq_ignore_ascii_case(class.name()))
            .collect();
        // A sky fibre has a fit like any other, and is left alone.
        let rows: Vec<usize> = rows
            .into_iter()
            .filter(|&i| {
                let own = reason.0[&golden.column::<Int32Array>("row").value(i)];
                !(reason.1.is_valid(own) && reason.1.value(own) == "sky")
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let spectra = run.spectra(unit, class.name()).unwrap_or_else(|| panic!("{unit}: no {class} spectra"));
        compare_rest_class(run, (unit, class), golden, (&rows, &spectra), closeness);
    }
}

fn compare_rest_class(
    run: &Run,
    (unit, class): (&UnitId, Class),
    golden: &Table,
    (rows, spectra): (&[usize], &Table),
    closeness: &mut Closeness,
) {
    let float = |name: &str| golden.column::<Float64Array>(name);
    let single = |name: &str| golden.column::<Float32Array>(name);
    let (row, bin) = (golden.column::<Int32Array>("row"), golden.column::<Int32Array>("bin"));
    let (flux, ivar, z, wave) = (float("flux"), float("ivar"), float("z"), float("wave_aa"));
    let (local_max, ivar_max) = (single("flux_local_max"), single("ivar_max"));
    let [flux_sb, ivar_sb] = ["flux", "ivar"].map(|name| spectra.column::<FixedSizeListArray>(name));
    let wave_b = run.plan.rest_grid(class).wave_aa();
    let own_row = by_coadd_row(spectra);
    for &i in rows {
        let s = own_row[&row.value(i)];
        let b = usize::try_from(bin.value(i)).unwrap();
        let what = |name: &str| format!("{unit} row {} {class} bin {b}: {name}", row.value(i));
        assert!((wave_b[b] / wave.value(i) - 1.0).abs() < 1e-12, "{}", what("wavelength"));
        let own_z = spectra.column::<Float64Array>("z").value(s);
        assert_eq!(own_z.to_bits(), z.value(i).to_bits(), "{}", what("z"));
        let at = |list: &FixedSizeListArray| {
            f64::from(list.value(s).as_any().downcast_ref::<Float32Array>().unwrap().value(b))
        };
        let largest = f64::from(ivar_max.value(i));
        let tolerance = REST_IVAR_TOLERANCE * largest;
        let worst = closeness.entry("rest ivar".to_owned()).or_default();
        worst.compare(at(ivar_sb), ivar.value(i), tolerance, || what("ivar"));
        if ivar.value(i) > REST_IVAR_FLOOR * largest {
            let tolerance = REST_FLUX_TOLERANCE * f64::from(local_max.value(i));
            let worst = closeness.entry("rest flux".to_owned()).or_default();
            worst.compare(at(flux_sb), flux.value(i), tolerance, || what("flux"));
        }
    }
}

/// Where a golden quantity stands in `features/`: its column, and that of its ivar or error.
fn columns_of(quantity: &str) -> (String, Option<String>) {
    let index = specmill_schemas::constants::indices().iter().any(|index| index.name == quantity);
    match quantity.strip_suffix("_scores") {
        Some(snr) => (snr.to_owned(), None),
        None if quantity.starts_with("snr_") || quantity.ends_with("_cont") => (quantity.to_owned(), None),
        None if index => {
            let column = specmill_schemas::features::index_column(quantity);
            (column.clone(), Some(format!("{column}_err")))
        }
        None => (quantity.to_owned(), Some(format!("{quantity}_ivar"))),
    }
}

/// The kind of a quantity, for the report.
fn kind_of(quantity: &str) -> &'static str {
    match quantity {
        _ if quantity.starts_with("snr_") => "snr",
        "dn4000_w" => "dn4000_w",
        _ if quantity.ends_with("4000") => "breaks, plain",
        _ if quantity.ends_with("_flux") => "line fluxes",
        _ if quantity.ends_with("_ew") => "line widths",
        _ if quantity.ends_with("_cont") => "line continua",
        _ => "indices",
    }
}

fn compare_scalars(
    features: &Table,
    golden: &Table,
    rows: &[usize],
    closeness: &mut Closeness,
    quantities: &mut BTreeSet<String>,
) {
    let (row, quantity) = (golden.column::<Int32Array>("row"), golden.text("quantity"));
    let (value, ivar) = (golden.column::<Float64Array>("value"), golden.column::<Float64Array>("ivar"));
    let own_row = by_coadd_row(features);
    for &i in rows {
        let s = own_row[&row.value(i)];
        let name = quantity.value(i);
        let (column, error_column) = columns_of(name);
        let ours = features.column::<Float32Array>(&column);
        let what = || format!("{} row {} {name}", golden.text("unit").value(i), row.value(i));
        if features.text("state").value(s) != "done" {
            assert!(ours.is_null(s), "{} is not NULL though the target was left out", what());
            continue;
        }
        assert_eq!(ours.is_null(s), value.is_null(i), "{}: ours and golden disagree on NULL", what());
        if value.is_null(i) {
            continue;
        }
        quantities.insert(name.to_owned());
        let expected = value.value(i);
        let sigma = if ivar.is_valid(i) { 1.0 / ivar.value(i).sqrt() } else { 0.0 };
        let kind = kind_of(name);
        let tolerance = match kind {
            "snr" => SNR_TOLERANCE * expected.abs(),
            _ => ROUNDING * expected.abs() + ROUNDING_SIGMA * sigma,
        };
        if kind == "dn4000_w" {
            let frozen = DN4000_W_TOLERANCE * expected.abs();
            let worst = closeness.entry(format!("{kind}: frozen 1e-3")).or_default();
            worst.compare(f64::from(ours.value(s)), expected, frozen, what);
        }
        let worst = closeness.entry(kind.to_owned()).or_default();
        worst.compare(f64::from(ours.value(s)), expected, tolerance, what);
        if let Some(error_column) = error_column {
            let error = f64::from(features.column::<Float32Array>(&error_column).value(s));
            let own_ivar = if error_column.ends_with("_err") { 1.0 / (error * error) } else { error };
            let worst = closeness.entry(format!("{kind}: ivar")).or_default();
            worst.compare(own_ivar, ivar.value(i), IVAR_TOLERANCE * ivar.value(i), || what() + " ivar");
        }
    }
}
