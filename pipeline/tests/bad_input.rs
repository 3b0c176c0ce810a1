//! Damaged input: one clear reason, the other units untouched, an exit code that says so.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use specmill::ledger::{LedgerRow, State};
use specmill::unit::UnitId;
use specmill_schemas::features::flags;

use crate::flow::assert_finite;
use crate::run_folder::{Release, RunFolder, files_below, text};

/// Rows of every unit here.
const ROWS: usize = 8;

/// The undamaged release and what a run makes of it.
struct Undamaged {
    release: Release,
    units: Vec<UnitId>,
    digests: Digests,
    /// The unit that the cases damage: neither the first nor the last.
    victim: LedgerRow,
    /// The victim's.
    features: RecordBatch,
}

/// SHA-256 by path.
type Digests = BTreeMap<String, String>;

impl Undamaged {
    fn shared() -> &'static Self {
        static SHARED: LazyLock<Undamaged> = LazyLock::new(|| {
            let release = Release::simulate_lasting(3 * ROWS, ROWS);
            let run = RunFolder::over(release.root());
            run.run(0);
            let victim = run.accounts().remove(1);
            let features = run.features(&victim.unit);
            Undamaged { units: run.units(), digests: run.digests(), release, victim, features }
        });
        &SHARED
    }

    /// Damages the victim's files in a copy, runs it, and checks what every case has in common.
    fn damage(&self, code: i32, damage: impl FnOnce(&Path, &Path)) -> Damaged {
        let release = self.release.copy();
        let [coadd, redrock] = [0, 1].map(|file| release.root().join(&self.victim.inputs[file].path));
        damage(&coadd, &redrock);
        let run = RunFolder::over(release.root());
        run.run(code);
        let status = run.call(&["status"]);
        assert_eq!(status.code, code, "{}", status.stdout);
        let victim = self.victim.unit.to_string();
        let others = |mut digests: Digests| {
            digests.retain(|name, _| name != "inventory.parquet" && !name.contains(&victim));
            digests
        };
        assert_eq!(others(run.digests()), others(self.digests.clone()));
        run.assert_nothing_partial();
        assert_eq!(run.units(), self.units);
        let account = run.account(&self.victim.unit);
        assert!(account.adds_up());
        Damaged { account, run, status: status.stdout }
    }

    /// Damage for which the unit fails as a whole, with a reason that holds all of `words`.
    fn assert_fails(&self, words: &[&str], damage: impl FnOnce(&Path, &Path)) {
        let damaged = self.damage(3, damage);
        let account = &damaged.account;
        assert_eq!(account.state, State::Failed);
        let reason = account.reason.as_deref().unwrap();
        for word in words {
            assert!(reason.contains(word), "{word:?} is not in {reason:?}");
        }
        assert!(!reason.contains('\n') && reason.len() < 400, "{reason}");
        assert!(damaged.status.contains(reason), "{}", damaged.status);
        assert_eq!(damaged.outputs(), Vec::<PathBuf>::new());
        assert_eq!(account.outputs, []);
    }
}

/// A run over a damaged release.
struct Damaged {
    run: RunFolder,
    account: LedgerRow,
    status: String,
}

impl Damaged {
    /// Everything that stands under the victim's name.
    fn outputs(&self) -> Vec<PathBuf> {
        let unit = self.account.unit.to_string();
        let of_unit = |path: &PathBuf| path.to_str().unwrap().contains(&unit);
        let folders = ["features", "spectra"].map(|folder| self.run.path().join(folder));
        folders.iter().flat_map(|folder| files_below(folder)).filter(of_unit).collect()
    }

    fn features(&self) -> RecordBatch {
        let features = self.run.features(&self.account.unit);
        assert_finite(&features);
        features
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn coadd_name(undamaged: &Undamaged) -> String {
    name_of(Path::new(&undamaged.victim.inputs[0].path)).to_owned()
}

fn redrock_name(undamaged: &Undamaged) -> String {
    name_of(Path::new(&undamaged.victim.inputs[1].path)).to_owned()
}

/// Rows where two tables of the same unit differ; the digest of the changed file aside.
fn rows_that_differ(a: &RecordBatch, b: &RecordBatch) -> Vec<usize> {
    let compared: Vec<usize> =
        (0..a.num_columns()).filter(|column| a.schema().field(*column).name() != "coadd_sha256").collect();
    let (a, b) = (a.project(&compared).unwrap(), b.project(&compared).unwrap());
    (0..a.num_rows()).filter(|row| a.slice(*row, 1) != b.slice(*row, 1)).collect()
}

/// The first rows that the undamaged run measured.
fn done_rows<const N: usize>(features: &RecordBatch) -> [usize; N] {
    let states = text(features, "state");
    let rows: Vec<usize> = (0..states.len()).filter(|row| states[*row] == "done").collect();
    rows[..N].try_into().unwrap()
}

fn int32(features: &RecordBatch, column: &str, row: usize) -> i32 {
    features[column].as_primitive::<Int32Type>().value(row)
}

#[test]
fn a_redrock_without_its_coadd_is_missing_upstream() {
    let undamaged = Undamaged::shared();
    let damaged = undamaged.damage(3, |coadd, _| fs_err::remove_file(coadd).unwrap());
    assert_eq!(damaged.account.state, State::MissingUpstream);
    assert_eq!(damaged.account.reason.as_deref(), Some("no coadd file for this redrock"));
    assert_eq!(damaged.account.inputs, undamaged.victim.inputs[1..]);
    assert_eq!(damaged.outputs(), Vec::<PathBuf>::new());
    assert!(damaged.status.contains("no coadd file for this redrock"), "{}", damaged.status);
}

#[test]
fn a_coadd_without_its_redrock_lists_its_targets_and_measures_none() {
    let undamaged = Undamaged::shared();
    let damaged = undamaged.damage(3, |_, redrock| fs_err::remove_file(redrock).unwrap());
    assert_eq!(damaged.account.state, State::MissingUpstream);
    assert_eq!(damaged.account.reason.as_deref(), Some("no redrock file for this coadd"));
    assert_eq!(damaged.account.inputs, undamaged.victim.inputs[..1]);
    let features = damaged.features();
    let before = text(&undamaged.features, "state");
    for (row, (state, reason)) in
        text(&features, "state").into_iter().zip(text(&features, "reason")).enumerate()
    {
        let expected = if before[row] == "done" { "missing_upstream" } else { before[row] };
        assert_eq!(state, expected);
        assert_eq!(reason == "no_redshift", before[row] == "done");
    }
    assert_eq!(features["z"].null_count(), ROWS);
    assert_eq!(features["snr_b"].null_count(), ROWS);
    assert_eq!(damaged.outputs().len(), 1, "features and no spectra");
}

#[test]
fn a_file_cut_short_fails_its_unit_and_names_the_hdu() {
    let undamaged = Undamaged::shared();
    let cut = |path: &Path, at: &str| {
        let fits = Fits::read(path);
        let data = fits.hdu(at).data;
        fs_err::write(path, &fits.bytes[..data.start + data.len() / 2]).unwrap();
    };
    undamaged.assert_fails(&[&coadd_name(undamaged), "R_FLUX", "truncated"], |coadd, _| cut(coadd, "R_FLUX"));
    undamaged.assert_fails(&[&redrock_name(undamaged), "REDSHIFTS", "truncated"], |_, redrock| {
        cut(redrock, "REDSHIFTS");
    });
}

#[test]
fn a_file_that_is_not_fits_fails_its_unit() {
    let undamaged = Undamaged::shared();
    let words = [&*coadd_name(undamaged), "not a FITS file", "SIMPLE"];
    undamaged.assert_fails(&words, |coadd, _| {
        fs_err::write(coadd, b"<html>404 Not Found</html>".repeat(1000)).unwrap();
    });
    undamaged.assert_fails(&[&coadd_name(undamaged), "the file is empty"], |coadd, _| {
        fs_err::write(coadd, b"").unwrap();
    });
    undamaged.assert_fails(&[&redrock_name(undamaged), "the file is empty"], |_, redrock| {
        fs_err::write(redrock, b"").unwrap();
    });
}

#[test]
fn a_coadd_without_rows_is_empty_and_no_failure() {
    let undamaged = Undamaged::shared();
    let damaged = undamaged.damage(0, |coadd, redrock| {
        let mut fits = Fits::read(coadd);
        fits.empty(&["FIBERMAP", "SCORES"], 2);
        for arm in ["B", "R", "Z"] {
            fits.empty(&["FLUX", "IVAR", "MASK"].map(|name| format!("{arm}_{name}")), 2);
        }
        fits.write();
        let mut fits = Fits::read(redrock);
        fits.empty(&["REDSHIFTS", "FIBERMAP", "TSNR2"], 2);
        fits.write();
    });
    assert_eq!(damaged.account.state, State::Empty);
    assert_eq!(damaged.account.reason.as_deref(), Some("the coadd has no rows"));
    assert_eq!((damaged.account.rows_in, damaged.account.outputs.len()), (0, 0));
    assert_eq!(damaged.outputs(), Vec::<PathBuf>::new());
}

#[test]
fn headers_that_contradict_each_other_fail_the_unit() {
    let undamaged = Undamaged::shared();
    let name = coadd_name(undamaged);
    // 2326 pixels are stated by R_WAVELENGTH; one less ends in the same block.
    undamaged.assert_fails(&[&name, "R_FLUX", "shape", "2325", "2326"], |coadd, _| {
        let mut fits = Fits::read(coadd);
        fits.set_card("R_FLUX", "NAXIS1", "2325");
        fits.write();
    });
    undamaged.assert_fails(&[&name, "FIBERMAP", "truncated"], |coadd, _| {
        let mut fits = Fits::read(coadd);
        fits.set_card("FIBERMAP", "NAXIS2", "1000000000000");
        fits.write();
    });
    undamaged.assert_fails(&[&name, "FIBERMAP", "TARGETID"], |coadd, _| {
        let mut fits = Fits::read(coadd);
        fits.set_card("FIBERMAP", "TTYPE1", "'TARGETIX'");
        fits.write();
    });
}

#[test]
fn an_arm_off_the_grid_fails_the_unit_and_its_rows() {
    let undamaged = Undamaged::shared();
    // A shift of 6 km/s: largest at the arm's last pixel.
    let words = [&*coadd_name(undamaged), "R_WAVELENGTH", "pixel 2325 is at 7620.15", "3600 + 0.8 i"];
    undamaged.assert_fails(&words, |coadd, _| {
        let mut fits = Fits::read(coadd);
        let data = fits.hdu("R_WAVELENGTH").data;
        for wave in fits.bytes[data].chunks_exact_mut(8) {
            let wave_aa = f64::from_be_bytes((&*wave).try_into().unwrap());
            wave.copy_from_slice(&(wave_aa * (1.0 + 2e-5)).to_be_bytes());
        }
        fits.write();
    });
    let damaged = undamaged.damage(3, |coadd, _| {
        let mut fits = Fits::read(coadd);
        fits.put("Z_WAVELENGTH", 0, &f64::NAN.to_be_bytes());
        fits.write();
    });
    // The headers were whole, so the inventory knew the rows: they fail with their unit.
    assert_eq!(damaged.account.rows_in, ROWS as u64);
    assert_eq!(damaged.account.rows[&State::Failed]["unit_failed"], ROWS as u64);
}

#[test]
fn pixels_that_are_no_numbers_are_counted_and_left_out() {
    let undamaged = Undamaged::shared();
    let before = &undamaged.features;
    let [row] = done_rows(before);
    let mut fluxes = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
    let mut ivars = vec![f32::NAN, f32::INFINITY, -1.0, -1e-30, f32::NEG_INFINITY];
    let n_bad = i32::try_from(fluxes.len() + ivars.len()).unwrap();
    let damaged = undamaged.damage(0, |coadd, _| {
        let mut fits = Fits::read(coadd);
        for (hdu, first, values) in [("B_FLUX", 1000, &mut fluxes), ("B_IVAR", 1100, &mut ivars)] {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
            fits.put(hdu, 4 * (2751 * row + first), &bytes);
        }
        fits.write();
    });
    let after = damaged.features();
    assert_eq!(rows_that_differ(before, &after), [row]);
    assert_eq!(text(&after, "state")[row], "done");
    assert_eq!(int32(&after, "n_bad_pixels", row), n_bad);
    assert_eq!(int32(&after, "n_good_pixels", row), int32(before, "n_good_pixels", row) - n_bad);
    assert_eq!(int32(&after, "flags", row), int32(before, "flags", row) | flags::BAD_PIXELS);
    for path in damaged.outputs() {
        assert_finite(&crate::run_folder::read_parquet(&path).0);
    }
}

#[test]
fn a_spectrum_of_nothing_but_nan_is_empty() {
    let undamaged = Undamaged::shared();
    let before = &undamaged.features;
    let [row] = done_rows(before);
    let damaged = undamaged.damage(0, |coadd, _| {
        let mut fits = Fits::read(coadd);
        for (arm, n_pixels) in [("B_FLUX", 2751), ("R_FLUX", 2326), ("Z_FLUX", 2881)] {
            fits.put(arm, 4 * n_pixels * row, &f32::NAN.to_be_bytes().repeat(n_pixels));
        }
        fits.write();
    });
    let after = damaged.features();
    assert_eq!(rows_that_differ(before, &after), [row]);
    assert_eq!((text(&after, "state")[row], text(&after, "reason")[row]), ("empty", "no_good_pixels"));
    assert_eq!(int32(&after, "n_good_pixels", row), 0);
}

#[test]
fn an_absurd_redshift_fails_its_target_alone() {
    let undamaged = Undamaged::shared();
    let before = &undamaged.features;
    let rows: [usize; 3] = done_rows(before);
    let damaged = undamaged.damage(3, |_, redrock| {
        let mut fits = Fits::read(redrock);
        for (row, z) in rows.into_iter().zip([-1.0_f64, 20.0, f64::NAN]) {
            fits.put_cell("REDSHIFTS", "Z", row, &z.to_be_bytes());
        }
        fits.write();
    });
    let after = damaged.features();
    assert_eq!(rows_that_differ(before, &after), rows);
    for row in rows {
        assert_eq!(
            (text(&after, "state")[row], text(&after, "reason")[row]),
            ("failed", "redshift_out_of_range")
        );
        assert!(after["snr_b"].is_null(row));
    }
    assert_eq!(damaged.account.state, State::Done);
    assert_eq!(damaged.account.rows[&State::Failed]["redshift_out_of_range"], 3);
    assert!(damaged.status.contains("has targets that failed"), "{}", damaged.status);
}

#[test]
fn the_second_row_of_a_target_fails_and_the_first_is_measured() {
    let undamaged = Undamaged::shared();
    let before = &undamaged.features;
    let [first, second] = done_rows(before);
    let damaged = undamaged.damage(3, |coadd, redrock| {
        for (path, hdus) in [(coadd, ["FIBERMAP", "SCORES"]), (redrock, ["REDSHIFTS", "FIBERMAP"])] {
            let mut fits = Fits::read(path);
            for hdu in hdus {
                let targetid = fits.bytes[fits.cell(hdu, "TARGETID", first)].to_vec();
                fits.put_cell(hdu, "TARGETID", second, &targetid);
            }
            fits.write();
        }
    });
    let after = damaged.features();
    assert_eq!(rows_that_differ(before, &after), [second]);
    assert_eq!(
        (text(&after, "state")[second], text(&after, "reason")[second]),
        ("failed", "repeated_targetid")
    );
    assert_eq!(damaged.account.rows[&State::Failed]["repeated_targetid"], 1);
}

#[test]
fn a_unit_that_breaks_later_loses_its_old_results() {
    let undamaged = Undamaged::shared();
    let release = undamaged.release.copy();
    let run = RunFolder::over(release.root());
    run.run(0);
    let unit: &UnitId = &undamaged.victim.unit;
    fs_err::write(release.root().join(&undamaged.victim.inputs[0].path), b"gone").unwrap();
    run.run(3);
    let account = run.account(unit);
    assert_eq!(account.state, State::Failed);
    let id = unit.to_string();
    assert!(run.digests().keys().all(|name| !name.contains(&id)), "{:?}", run.digests().keys());
    // A failed unit is tried again, and heals with its file.
    let whole = undamaged.release.root().join(&undamaged.victim.inputs[0].path);
    fs_err::copy(whole, release.root().join(&undamaged.victim.inputs[0].path)).unwrap();
    run.run(0);
    assert_eq!(run.digests(), undamaged.digests);
}

#[test]
fn a_bad_plan_is_refused_before_anything_is_written() {
    let undamaged = Undamaged::shared();
    let root = undamaged.release.root();
    let missing = format!("{:?}", root.join("nowhere"));
    for (key, value, words) in [
        (
            "extract.mask_rul",
            "\"dr1\"",
            &["unknown key `extract.mask_rul`", "did you mean `extract.mask_rule`?"][..],
        ),
        ("input.root", &missing, &["input.root", "nowhere is not a folder"]),
        ("extract.mask_rule", "\"desi\"", &["extract.mask_rule: use dr1, masked or 0.70"]),
        ("resources.device", "\"gpu\"", &["resources.device: `gpu` is not a device"]),
        ("resources.threads", "\"many\"", &["line "]),
    ] {
        let mut run = RunFolder::over(root);
        run.set(key, value);
        for command in ["plan", "run"] {
            let refused = run.call(&[command]);
            assert_eq!(refused.code, 2, "{key}: {}", refused.stderr);
            for word in words.iter().chain(&["error: ", "help: "]) {
                assert!(refused.stderr.contains(word), "{key}: {word:?} is not in {}", refused.stderr);
            }
            assert_eq!(refused.stdout, "");
            assert!(!run.path().exists(), "{key}");
        }
    }
    // A folder that holds no release is as bad as none.
    let empty = tempfile::tempdir().unwrap();
    let refused = RunFolder::over(empty.path()).call(&["run"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("no release here: expected spectro/redux/"), "{}", refused.stderr);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_an_error_with_a_way_out() {
    let undamaged = Undamaged::shared();
    let mut run = RunFolder::over(undamaged.release.root());
    // Below a file: refused to everyone, also to root, who may write where modes forbid it.
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("run");
    run.set("output.folder", &format!("{folder:?}"));
    let refused = run.call(&["run"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("error: cannot write"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&*folder.to_string_lossy()), "{}", refused.stderr);
    assert!(refused.stderr.contains("help: check free space and permissions"), "{}", refused.stderr);
    assert_eq!(fs_err::metadata(file.path()).unwrap().len(), 0);
}

/// A FITS file in memory, to be damaged by HDU, card and cell.
struct Fits {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Where an HDU lies.
struct Hdu {
    extname: String,
    header: Range<usize>,
    /// Without padding.
    data: Range<usize>,
}

const BLOCK: usize = 2880;
const CARD: usize = 80;

impl Fits {
    fn read(path: &Path) -> Self {
        Self { path: path.to_owned(), bytes: fs_err::read(path).unwrap() }
    }

    fn write(&self) {
        fs_err::write(&self.path, &self.bytes).unwrap();
    }

    fn hdus(&self) -> Vec<Hdu> {
        let mut hdus = Vec::new();
        let mut start = 0;
        while start < self.bytes.len() {
            let cards = self.bytes[start..].chunks_exact(CARD).position(|card| card.starts_with(b"END     "));
            let header = start..start + (CARD * (cards.unwrap() + 1)).next_multiple_of(BLOCK);
            let number = |keyword: &str| -> usize {
                let value = self.value(&header, keyword).unwrap_or_else(|| "0".to_owned());
                value.trim_start_matches('-').parse().unwrap()
            };
            let axes: Vec<usize> =
                (1..=number("NAXIS")).map(|axis| number(&format!("NAXIS{axis}"))).collect();
            let length =
                if axes.is_empty() { 0 } else { axes.iter().product::<usize>() * number("BITPIX") / 8 };
            let data = header.end..header.end + length + number("PCOUNT");
            start = header.end + data.len().next_multiple_of(BLOCK);
            let extname = self.value(&header, "EXTNAME").unwrap_or_default();
            hdus.push(Hdu { extname, header, data });
        }
        hdus
    }

    fn hdu(&self, extname: &str) -> Hdu {
        self.hdus().into_iter().find(|hdu| hdu.extname == extname).unwrap()
    }

    fn card(&self, header: &Range<usize>, keyword: &str) -> Option<Range<usize>> {
        let start = format!("{keyword:<8}=");
        let mut cards = header.clone().step_by(CARD).map(|at| at..at + CARD);
        cards.find(|card| self.bytes[card.clone()].starts_with(start.as_bytes()))
    }

    fn value(&self, header: &Range<usize>, keyword: &str) -> Option<String> {
        let card = self.card(header, keyword)?;
        let text = std::str::from_utf8(&self.bytes[card]).unwrap()[10..].trim();
        Some(match text.strip_prefix('\'') {
            Some(text) => text.split('\'').next().unwrap().trim().to_owned(),
            None => text.split('/').next().unwrap().trim().to_owned(),
        })
    }

    fn set_card(&mut self, extname: &str, keyword: &str, value: &str) {
        let card = self.card(&self.hdu(extname).header, keyword).unwrap();
        let text = format!("{:<80}", format!("{keyword:<8}= {value:>20}"));
        self.bytes[card].copy_from_slice(text.as_bytes());
    }

    /// Overwrites data of an HDU from a byte on.
    fn put(&mut self, extname: &str, offset: usize, bytes: &[u8]) {
        let data = self.hdu(extname).data;
        self.bytes[data][offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Where a cell of a table lies in the file.
    fn cell(&self, extname: &str, column: &str, row: usize) -> Range<usize> {
        let Hdu { header, data, .. } = self.hdu(extname);
        let number = |keyword: &str| self.value(&header, keyword).unwrap().parse::<usize>().unwrap();
        let mut offset = data.start + row * number("NAXIS1");
        for field in 1..=number("TFIELDS") {
            let width = width(&self.value(&header, &format!("TFORM{field}")).unwrap());
            if self.value(&header, &format!("TTYPE{field}")).unwrap() == column {
                return offset..offset + width;
            }
            offset += width;
        }
        panic!("{extname} has no column {column}");
    }

    fn put_cell(&mut self, extname: &str, column: &str, row: usize, bytes: &[u8]) {
        let cell = self.cell(extname, column, row);
        self.bytes[cell].copy_from_slice(bytes);
    }

    /// Makes axis `axis` of HDUs 0 long and takes their data out.
    fn empty<T: AsRef<str>>(&mut self, extnames: &[T], axis: usize) {
        for extname in extnames {
            let data = self.hdu(extname.as_ref()).data;
            self.set_card(extname.as_ref(), &format!("NAXIS{axis}"), "0");
            self.bytes.drain(data.start..data.start + data.len().next_multiple_of(BLOCK));
        }
    }
}

/// Bytes of a table cell by its TFORM.
fn width(tform: &str) -> usize {
    let (count, kind) = tform.split_at(tform.len() - 1);
    let count: usize = if count.is_empty() { 1 } else { count.parse().unwrap() };
    count
        * match kind {
            "L" | "B" | "A" => 1,
            "I" => 2,
            "J" | "E" => 4,
            "K" | "D" => 8,
            other => panic!("no test has columns of format {other}"),
        }
}
