//! Known light in, measured light out: biases, errors, and the junctions of the arms.
//!
//! Two injections into the same simulated coadds, both through the run executor at the true redshift:
//!
//! 1. **The generator's objects**, for breaks and Lick indices, whose truth it gives on its noiseless
//!    pixels after the line-spread function (`_lsf`). Its line truth is the total flux of a line; a
//!    window measures something else: the wings beyond it are lost, the stellar absorption beneath and
//!    whatever bends the continuum between the sidebands are counted. These rows are printed to show
//!    how much that is, and not judged.
//! 2. **Light of the test's own** in place of the generator's (same files, ivar, masks), for lines and
//!    for both kinds of breaks: its truth is the window's definition itself, evaluated in f64 without
//!    noise, so that like is compared with like.
//!
//! The runs use mask rule `dr1`: under the default rule the flux of a masked pixel comes back where no
//! other arm sees it, wrong as the mask says it is; a row of the table shows what that does.

mod light;
mod patch;
mod pulls;
mod truth;

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, Float32Array, Int16Array, Int32Array};
use rayon::prelude::*;
use specmill::config::{RedshiftSource, Redshifts, RunFile};
use specmill::unit::UnitId;
use specmill_schemas::constants::{self, Line, LineKind};
use specmill_simulate::{Release, Resolution, SimulateConfig, simulate};
use tempfile::TempDir;

use crate::fits_bytes::{FitsBytes, TestColumn};
use crate::golden::{Run, Table, coadds, run_file};
use light::{Draw, Light, LineTruth, Lines};
use patch::Patch;
use pulls::{Demand, Pulls, Row, render};
use truth::{TruthRow, TruthTable};

const N_TARGETS: usize = 700;
/// Values are judged where the true value, or for an index the band's flux, is this many σ. The cut
/// is on the truth: one on the measured value would favour noise that raises it.
const LEAST_SNR: f64 = 10.0;
/// Observed wavelengths where arms overlap, Å.
const JUNCTIONS_AA: [(f64, f64); 2] = [(5760.0, 5800.0), (7520.0, 7620.0)];
/// Names a file that is to receive the table.
const TABLE_PATH: &str = "SPECMILL_INJECTION_TABLE";

/// What was put into a row by the second injection.
struct Injected {
    kind: Lines,
    /// In the order of `constants::lines`; nothing for members of a blend and off the grid.
    lines: Vec<Option<LineTruth>>,
    /// In the order of `constants::breaks`: plain, weighted.
    breaks: Vec<Option<[f64; 2]>>,
}

type InjectedTable = BTreeMap<(String, i32), Injected>;

/// Pulls by name, in the order in which they were first met.
#[derive(Default)]
struct Gathered {
    rows: Vec<Row>,
}

impl Gathered {
    fn of(&mut self, name: &str, demand: Demand) -> &mut Pulls {
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row { name: name.to_owned(), pulls: Pulls::default(), demand });
            self.rows.len() - 1
        });
        &mut self.rows[at].pulls
    }
}

/// A unit's features with the rows that were measured, by row of the coadd.
struct Features {
    table: Table,
    measured: BTreeMap<i32, usize>,
}

impl Features {
    fn of(run: &Run, unit: &UnitId) -> Self {
        let table = run.features(unit);
        let states = table.text("state").iter().map(|state| state == Some("done"));
        let rows = table.column::<Int32Array>("row").iter().map(Option::unwrap);
        let measured = rows.zip(states).enumerate().filter(|(_, (_, done))| *done);
        let measured = measured.map(|(s, (row, _))| (row, s)).collect();
        Self { table, measured }
    }

    /// A value; nothing where it is NULL.
    fn value(&self, s: usize, column: &str) -> Option<f64> {
        let column = self.table.column::<Float32Array>(column);
        column.is_valid(s).then(|| f64::from(column.value(s)))
    }

    /// A value and its standard error.
    fn with_sigma(&self, s: usize, column: &str) -> Option<(f64, f64)> {
        Some((self.value(s, column)?, 1.0 / self.value(s, &format!("{column}_ivar"))?.sqrt()))
    }

    fn flag(&self, s: usize, stem: &str) -> i16 {
        self.table.column::<Int16Array>(&format!("{stem}_flag")).value(s)
    }
}

fn simulated() -> TempDir {
    let folder = TempDir::new().unwrap();
    let config = SimulateConfig {
        seed: 20_211,
        releases: vec![Release::Dr1],
        resolution: Resolution::None,
        repeat_fraction: 0.0,
        ..SimulateConfig::new(folder.path(), N_TARGETS)
    };
    simulate(&config).unwrap();
    folder
}

/// A catalogue of true redshifts: what a redshift's own error does to windows is not asked here.
fn write_true_redshifts(path: &Path, truth: &TruthTable) {
    let rows: Vec<&TruthRow> = truth.values().filter(|row| row.is_extragalactic()).collect();
    let targetid: Vec<i64> = rows.iter().map(|row| row.targetid()).collect();
    let z: Vec<f64> = rows.iter().map(|row| row.number("z").unwrap()).collect();
    let spectype: Vec<String> = rows.iter().map(|row| row.text("class").to_uppercase()).collect();
    let spectype: Vec<&str> = spectype.iter().map(String::as_str).collect();
    let columns = [
        TestColumn::i64("TARGETID", &targetid),
        TestColumn::f64("Z", &z),
        TestColumn::text("SPECTYPE", 6, b' ', &spectype),
    ];
    let mut file = FitsBytes::new(&[]);
    file.table("TRUE_Z", &columns, &[], &[]);
    fs_err::write(path, file.0).unwrap();
}

fn run_at_true_redshifts(root: &Path, catalog: &Path, mask_rule: &str) -> RunFile {
    let mut run_file = run_file(root);
    run_file.redshifts = Redshifts {
        source: RedshiftSource::Catalog,
        path: catalog.to_owned(),
        spectype: "SPECTYPE".to_owned(),
        ..Redshifts::default()
    };
    run_file.extract.mask_rule = mask_rule.to_owned();
    run_file.extract.write_spectra = false;
    run_file
}

fn touches_junction((low, high): (f64, f64)) -> bool {
    JUNCTIONS_AA.iter().any(|(from, to)| low < *to && high > *from)
}

/// Breaks and indices of the generator's galaxies.
fn gather_generated(features: &Features, unit: &str, truth: &TruthTable, out: &mut Gathered) {
    for (&row, &s) in &features.measured {
        let truth = &truth[&(unit.to_owned(), row)];
        if truth.text("class") != "galaxy" {
            continue;
        }
        for item in constants::breaks() {
            let Some(expected) = truth.number(&format!("{}_lsf", item.name)) else { continue };
            let Some((value, sigma)) = features.with_sigma(s, &item.name) else { continue };
            if expected > LEAST_SNR * sigma {
                let name = format!("{} (generator's pixels)", item.name);
                out.of(&name, Demand::Calibrated).add(value, expected, sigma);
            }
        }
        for item in constants::indices() {
            let column = specmill_schemas::features::index_column(&item.name);
            let Some(expected) = truth.number(&format!("{column}_lsf")) else { continue };
            let (Some(value), Some(sigma)) =
                (features.value(s, &column), features.value(s, &format!("{column}_err")))
            else {
                continue;
            };
            // σ of the index for which the band's mean flux is known to one in ten.
            let width = item.band_aa.1 - item.band_aa.0;
            let unit_snr = if item.is_magnitude { 2.5 / std::f64::consts::LN_10 } else { width };
            if unit_snr > LEAST_SNR * sigma {
                out.of(&column, Demand::Calibrated).add(value, expected, sigma);
                let stretch = 1.0 + truth.number("z").unwrap();
                let ends = (item.blue_aa.0.min(item.band_aa.0), item.red_aa.1.max(item.band_aa.1));
                let at_junction = touches_junction((ends.0 * stretch, ends.1 * stretch));
                let name =
                    if at_junction { "all indices, at arm junctions" } else { "all indices, elsewhere" };
                out.of(name, Demand::Calibrated).add(value, expected, sigma);
            }
        }
        if truth.text("subtype") == "star_forming" {
            gather_totals(features, s, truth, out);
        }
    }
}

/// Window fluxes of star-forming galaxies against the total flux of the lines in the window.
fn gather_totals(features: &Features, s: usize, truth: &TruthRow, out: &mut Gathered) {
    let lines = constants::lines();
    for line in ["oii_3728", "hbeta", "oiii_4960", "oiii_5008", "halpha_nii", "sii_6725"] {
        let members = lines.iter().filter(|item| item.group.as_deref() == Some(line)).map(|item| &*item.name);
        let members: Vec<&str> =
            if members.clone().next().is_none() { vec![line] } else { members.collect() };
        let total: Option<f64> = members.iter().map(|name| truth.number(&format!("{name}_flux"))).sum();
        let (Some(total), Some((flux, sigma))) = (total, features.with_sigma(s, &format!("{line}_flux")))
        else {
            continue;
        };
        if total > LEAST_SNR * sigma {
            out.of(&format!("{line}_flux, window against the line's total"), Demand::None)
                .add(flux, total, sigma);
        }
    }
}

/// Replaces the light of every galaxy and quasar of a coadd.
fn inject(unit: &UnitId, path: &Path, truth: &TruthTable, lines: &[Line]) -> Vec<((String, i32), Injected)> {
    let mut patch = Patch::open(path);
    let unit = unit.to_string();
    let mut injected = Vec::new();
    for (key, row) in truth.iter().filter(|((of, _), row)| *of == unit && row.is_extragalactic()) {
        let s = usize::try_from(key.1).unwrap();
        let ivar_p = patch.ivar_p(s);
        let mut draw = Draw::named(&format!("{unit}/{s}"));
        let z = row.number("z").unwrap();
        let light = Light::draw(&mut draw, row.text("class") == "qso", z, lines, &ivar_p);
        patch.replace(s, &light, &mut draw);
        let fine = light.fine(&ivar_p);
        let truth_of = |line: &Line| fine.line(line).filter(|_| line.group.is_none());
        injected.push((
            key.clone(),
            Injected {
                kind: light.lines,
                lines: lines.iter().map(truth_of).collect(),
                breaks: constants::breaks().iter().map(|b| fine.breaks(b.blue_aa, b.red_aa)).collect(),
            },
        ));
    }
    patch.write();
    injected
}

/// Breaks and lines of the test's own light.
fn gather_injected(features: &Features, unit: &str, injected: &InjectedTable, out: &mut Gathered) {
    let lines = constants::lines();
    for (&row, &s) in &features.measured {
        let injected = &injected[&(unit.to_owned(), row)];
        for (item, truth) in constants::breaks().iter().zip(&injected.breaks) {
            let Some(truth) = truth else { continue };
            for (suffix, expected) in ["", "_w"].iter().zip(truth) {
                let column = format!("{}{suffix}", item.name);
                let Some((value, sigma)) = features.with_sigma(s, &column) else { continue };
                if *expected < LEAST_SNR * sigma {
                    continue;
                }
                // Strong lines within a band are no continuum: a missing pixel or, in the weighted
                // break, Simpson's alternating 4/3 and 2/3 then weigh by chance.
                let (name, demand) = match injected.kind {
                    Lines::Quiet => (column, Demand::Calibrated),
                    Lines::Sharp | Lines::Resolved => {
                        (format!("{column}, strong lines in its bands"), Demand::None)
                    }
                };
                out.of(&name, demand).add(value, *expected, sigma);
            }
        }
        for (line, truth) in lines.iter().zip(&injected.lines) {
            if let Some(truth) = truth {
                gather_line(features, s, (line, truth, injected.kind), out);
            }
        }
    }
}

fn gather_line(
    features: &Features,
    s: usize,
    (line, truth, kind): (&Line, &LineTruth, Lines),
    out: &mut Gathered,
) {
    let name = &line.name;
    let sharp = if kind == Lines::Sharp { "σ of a quarter of a pixel" } else { "σ of a pixel and more" };
    // A broad line hardly bends from pixel to pixel: every window of hundreds has some bridged.
    let is_bridged = features.flag(s, name) != 0 && !is_broad(line);
    for (column, expected) in [(format!("{name}_flux"), truth.flux), (format!("{name}_ew"), truth.ew_aa)] {
        let Some((value, sigma)) = features.with_sigma(s, &column) else { continue };
        if expected < LEAST_SNR * sigma {
            continue;
        }
        let is_flux = column.ends_with("_flux");
        let what = if is_flux { "fluxes" } else { "widths" };
        if is_bridged {
            // A bridge over a line's peak cuts it off; the flag says so, the error does not.
            let name = format!("narrow line {what} with bridged pixels, {sharp}");
            out.of(&name, Demand::None).add(value, expected, sigma);
            continue;
        }
        out.of(&column, Demand::Calibrated).add(value, expected, sigma);
        let family = if line.kind == LineKind::Narrow { "single narrow" } else { "broad and blended" };
        out.of(&format!("all {family} line {what}"), Demand::Calibrated).add(value, expected, sigma);
        if is_flux && line.kind == LineKind::Narrow {
            out.of(&format!("narrow line fluxes, {sharp}"), Demand::Calibrated).add(value, expected, sigma);
        }
        let place = if touches_junction(truth.window_aa) { "at arm junctions" } else { "elsewhere" };
        out.of(&format!("line {what}, {place}"), Demand::Calibrated).add(value, expected, sigma);
        if is_flux && let Some(continuum) = features.value(s, &format!("{name}_cont")) {
            // It has no column for its error: the truth says what the sidebands leave uncertain.
            let name = format!("line continua, {place}");
            out.of(&name, Demand::Calibrated).add(continuum, truth.continuum, truth.continuum_sigma);
        }
    }
}

/// Whether a line or the members of a blend are broad.
fn is_broad(line: &Line) -> bool {
    constants::lines().iter().any(|member| {
        member.kind == LineKind::Broad
            && (member.name == line.name || member.group.as_deref() == Some(line.name.as_str()))
    })
}

/// Windows over a junction must behave as others: no step in the mean pull.
fn junction_faults(rows: &[Row]) -> Vec<String> {
    let find = |name: String| rows.iter().find(|row| row.name == name).map(|row| &row.pulls);
    let mut faults = Vec::new();
    for kind in ["line fluxes", "line widths", "line continua", "all indices"] {
        let (Some(at), Some(elsewhere)) =
            (find(format!("{kind}, at arm junctions")), find(format!("{kind}, elsewhere")))
        else {
            faults.push(format!("{kind}: no row"));
            continue;
        };
        let step = at.mean() - elsewhere.mean();
        let most = 4.0 * libm::hypot(at.mean_error(), elsewhere.mean_error());
        if at.len() < 50 || step.is_nan() || step.abs() > most {
            faults.push(format!("{kind}: step {step:.3} of {most:.3} allowed, {} windows", at.len()));
        }
    }
    faults
}

#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
#[expect(clippy::print_stdout, reason = "the table is the result")]
fn show(table: &str) {
    println!("{table}");
    if let Some(path) = std::env::var_os(TABLE_PATH) {
        fs_err::write(path, table).unwrap();
    }
}

#[test]
fn injected_light_comes_back_unbiased_with_honest_errors() {
    let folder = simulated();
    let root = folder.path();
    let truth = truth::read(root);
    let catalog = root.join("true-redshifts.fits");
    write_true_redshifts(&catalog, &truth);
    let coadds = coadds(root);
    let mut gathered = Gathered::default();

    let run = Run::of(run_at_true_redshifts(root, &catalog, "dr1"));
    for (unit, _) in &coadds {
        gather_generated(&Features::of(&run, unit), &unit.to_string(), &truth, &mut gathered);
    }

    let lines = constants::lines();
    let injected: InjectedTable =
        coadds.par_iter().flat_map_iter(|(unit, path)| inject(unit, path, &truth, &lines)).collect();
    // The light that was put in has no Milky Way before it.
    let mut own_light = run_at_true_redshifts(root, &catalog, "dr1");
    own_light.extract.correct_extinction = false;
    let run = Run::of(own_light.clone());
    for (unit, _) in &coadds {
        gather_injected(&Features::of(&run, unit), &unit.to_string(), &injected, &mut gathered);
    }

    // A few units are enough to show what the default rule does.
    let some = &coadds[..coadds.len().min(3)];
    own_light.extract.mask_rule = "masked".to_owned();
    own_light.input.units = some.iter().map(|(unit, _)| unit.to_string()).collect();
    let run = Run::of(own_light);
    let mut with_masked = Gathered::default();
    for (unit, _) in some {
        gather_injected(&Features::of(&run, unit), &unit.to_string(), &injected, &mut with_masked);
    }
    for kind in ["all single narrow line fluxes", "all broad and blended line fluxes"] {
        let pulls = with_masked.of(kind, Demand::None).clone();
        gathered.of(&format!("{kind}, rule masked"), Demand::None).extend(&pulls);
    }

    let table = render(&gathered.rows);
    show(&table);
    let mut faults: Vec<String> = gathered.rows.iter().filter_map(Row::fault).collect();
    faults.extend(junction_faults(&gathered.rows));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
