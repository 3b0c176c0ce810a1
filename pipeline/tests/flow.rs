//! The whole flow from outside: files in, the program, files out.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use sha2::{Digest, Sha256};
use specmill::class::Class;
use specmill::fits::CoaddFile;
use specmill::ledger::State;
use specmill::stage::Stage;
use specmill_kernels::cuda::{Driver, NoCache};

use crate::run_folder::{Outcome, Release, RunFolder, files_below, text};

/// Units computed and units settled before, from the table a run prints.
fn units_and_settled(outcome: &Outcome) -> (usize, usize) {
    let line = outcome.stdout.lines().find(|line| line.starts_with("extract ")).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).take(2).map(|n| n.parse().unwrap()).collect();
    (counts[0], counts[1])
}

#[test]
fn threads_batches_and_units_in_flight_never_change_a_byte() {
    let release = Release::shared();
    let mut expected: Option<BTreeMap<String, String>> = None;
    let settings = [1, 2, 8].into_iter().flat_map(|threads| [1, 7, 512].map(|rows| (threads, rows)));
    for (i, (threads, batch_rows)) in settings.enumerate() {
        let mut run = RunFolder::over(release.root());
        run.set("resources.threads", &threads.to_string())
            .set("resources.batch_rows", &batch_rows.to_string())
            .set("resources.units_in_flight", ["1", "3"][i % 2]);
        run.run(0);
        let digests = run.digests();
        // Five units with features, at least one class of spectra each, and the inventory.
        assert!(digests.len() > 10, "{digests:?}");
        let expected = expected.get_or_insert_with(|| digests.clone());
        assert!(digests == *expected, "{threads} threads, batches of {batch_rows}");
    }
    // Nor does it matter where the release lies.
    let copy = release.copy();
    let run = RunFolder::over(copy.root());
    run.run(0);
    assert_eq!(Some(run.digests()), expected);
}

#[test]
fn running_again_touches_nothing() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    assert_eq!(units_and_settled(&run.run(0)), (5, 0));
    let (before, accounts) = (run.identities(), run.accounts());
    assert_eq!(units_and_settled(&run.run(0)), (0, 5));
    assert_eq!(run.identities(), before);
    assert_eq!(run.accounts(), accounts);
    run.assert_nothing_partial();
}

#[test]
fn another_setting_recomputes_everything_and_the_old_one_gives_the_old_bytes() {
    let release = Release::shared();
    let mut run = RunFolder::over(release.root());
    run.run(0);
    let (files, digests, accounts) = (run.identities(), run.digests(), run.accounts());
    run.set("extract.mask_rule", "\"dr1\"");
    assert_eq!(run.call(&["status"]).code, 3, "nothing is done yet under the new setting");
    assert_eq!(units_and_settled(&run.run(0)), (5, 0));
    for (new, old) in run.accounts().iter().zip(&accounts) {
        assert_ne!(new.stage_hash, old.stage_hash);
        assert_eq!(new.inputs, old.inputs);
    }
    for (name, identity) in run.identities() {
        assert_ne!(files.get(&name), Some(&identity), "{name} was kept");
    }
    run.set("extract.mask_rule", "\"masked\"").set("extract.write_spectra", "false");
    run.run(0);
    assert!(files_below(&run.path().join("spectra")).is_empty(), "spectra of another setting were kept");
    run.set("extract.write_spectra", "true").run(0);
    assert_eq!(run.digests(), digests);
}

#[test]
fn a_deleted_output_and_a_changed_input_recompute_their_unit_alone() {
    let release = Release::shared().copy();
    let run = RunFolder::over(release.root());
    run.run(0);
    let (files, digests) = (run.identities(), run.digests());
    let units = run.units();
    let changed = |run: &RunFolder| -> Vec<String> {
        run.identities().into_iter().filter(|(name, id)| files[name] != *id).map(|(name, _)| name).collect()
    };

    let deleted = format!("features/{}.parquet", units[1]);
    fs_err::remove_file(run.path().join(&deleted)).unwrap();
    assert_eq!(units_and_settled(&run.run(0)), (1, 4));
    assert_eq!(run.digests(), digests);
    assert!(changed(&run).iter().all(|name| name.ends_with(&format!("{}.parquet", units[1]))));

    // The last byte of SCORES' padding: another file by its digest, the same numbers.
    let input = &run.account(&units[3]).inputs[0];
    let mut bytes = fs_err::read(release.root().join(&input.path)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(release.root().join(&input.path), bytes).unwrap();
    assert_eq!(units_and_settled(&run.run(0)), (1, 4));
    let ours = |name: &String| [&units[1], &units[3]].iter().any(|unit| name.contains(&unit.to_string()));
    assert!(changed(&run).iter().all(ours));
    let account = run.account(&units[3]);
    assert_ne!(account.inputs[0].sha256, input.sha256);
    let features = run.features(&units[3]);
    let sha256 = account.inputs[0].sha256.as_deref().unwrap();
    assert!(text(&features, "coadd_sha256").iter().all(|text| *text == sha256));
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let release = Release::simulate(60, 3);
    let undisturbed = RunFolder::over(release.root());
    undisturbed.run(0);
    let n_units = undisturbed.units().len();
    assert_eq!(n_units, 20);

    let mut run = RunFolder::over(release.root());
    run.set("resources.threads", "1");
    for until_done in [1, 4, 8] {
        let mut child = run.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while run.units().len() < until_done && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
        // What the ledger says is true at every moment.
        for output in run.accounts().iter().flat_map(|account| &account.outputs) {
            let bytes = fs_err::read(run.path().join(&output.path)).unwrap();
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(Some(digest), output.sha256);
        }
        assert_eq!(run.call(&["status"]).code, 3);
    }
    let done = run.units().len();
    assert!(done < n_units);
    assert_eq!(units_and_settled(&run.run(0)), (n_units - done, done));
    assert_eq!(run.digests(), undisturbed.digests());
    run.assert_nothing_partial();
}

#[test]
fn a_run_that_ends_between_two_files_of_a_unit_leaves_no_account_of_it() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run.run(0);
    let digests = run.digests();
    let unit = run.units()[0].clone();
    // A folder where a file should go: features are renamed into place, then spectra are refused.
    let blocked = run.path().join(&run.account(&unit).outputs[1].path);
    fs_err::remove_file(&blocked).unwrap();
    fs_err::create_dir(&blocked).unwrap();
    let outcome = run.run(1);
    assert!(outcome.stderr.contains("error: cannot write"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("help: "), "{}", outcome.stderr);
    run.assert_nothing_partial();
    assert!(!run.units().contains(&unit), "an account stands beside files that it does not describe");
    let status = run.call(&["status"]);
    assert_eq!(status.code, 3);
    assert!(status.stdout.contains(&format!("not done yet: 1\n  {unit}")), "{}", status.stdout);
    fs_err::remove_dir(&blocked).unwrap();
    assert_eq!(units_and_settled(&run.run(0)), (1, 4));
    assert_eq!(run.digests(), digests);
}

#[test]
fn every_row_of_every_coadd_is_accounted_for_in_order() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run.run(0);
    let mut listed = Vec::new();
    let mut words = BTreeMap::<String, usize>::new();
    for account in run.accounts() {
        let unit = account.unit.to_string();
        let mut coadd = CoaddFile::open(release.root().join(&account.inputs[0].path)).unwrap();
        let targetid = coadd.fibermap().unwrap().targetid;
        let features = run.features(&account.unit);
        assert_eq!(features["targetid"].as_primitive::<Int64Type>().values().to_vec(), targetid);
        let rows: Vec<i32> = (0..).take(targetid.len()).collect();
        assert_eq!(features["row"].as_primitive::<Int32Type>().values().to_vec(), rows);
        assert!(text(&features, "unit").iter().all(|text| *text == unit));
        assert!(text(&features, "stage_hash").iter().all(|text| *text == account.stage_hash));

        let (states, reasons) = (text(&features, "state"), text(&features, "reason"));
        let mut counts = BTreeMap::<(&str, &str), u64>::new();
        for (state, reason) in states.iter().zip(&reasons) {
            assert_eq!(*state == "done", reason.is_empty());
            *counts.entry((state, reason)).or_default() += 1;
            *words.entry(format!("{state} {reason}")).or_default() += 1;
        }
        let accounted: BTreeMap<(&str, &str), u64> = account
            .rows
            .iter()
            .flat_map(|(state, reasons)| {
                reasons.iter().map(|(reason, n)| ((state.name(), reason.as_str()), *n))
            })
            .collect();
        assert_eq!(counts, accounted, "{unit}");
        assert_eq!(account.rows_in, targetid.len() as u64);
        assert_eq!(account.state, State::Done);

        let spectype = text(&features, "spectype");
        for class in Class::ALL {
            let name = format!("spectra/{class}/{unit}.parquet");
            let is_measured =
                |row: &usize| states[*row] == "done" && spectype[*row] == class.name().to_uppercase();
            let measured: Vec<(i64, i32)> =
                (0..rows.len()).filter(is_measured).map(|row| (targetid[row], rows[row])).collect();
            assert_eq!(measured.is_empty(), !run.path().join(&name).exists(), "{name}");
            if !measured.is_empty() {
                assert_eq!(identities(&run.read(&name).0), measured, "{name}");
            }
        }
        listed.extend(account.outputs.into_iter().map(|output| output.path));
    }
    listed.push("inventory.parquet".to_owned());
    listed.sort();
    assert_eq!(run.digests().into_keys().collect::<Vec<_>>(), listed);
    // The sample would prove little if every target ended the same way.
    assert_eq!(words.keys().collect::<Vec<_>>(), ["done ", "empty no_good_pixels", "skipped sky"]);
}

/// TARGETID and row of every spectrum.
fn identities(spectra: &RecordBatch) -> Vec<(i64, i32)> {
    let targetid = spectra["targetid"].as_primitive::<Int64Type>().values();
    targetid
        .iter()
        .copied()
        .zip(spectra["row"].as_primitive::<Int32Type>().values().iter().copied())
        .collect()
}

#[test]
fn nothing_is_nan_and_nothing_is_measured_unless_it_is_done() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run.run(0);
    let schema = specmill_schemas::features::table();
    let (first, end) = (schema.index_of("snr_b").unwrap(), schema.index_of("coadd_sha256").unwrap());
    assert!(end - first > 100, "the measured columns stand between the two");
    let mut seen = vec![false; schema.fields.len()];
    for unit in run.units() {
        let features = run.features(&unit);
        assert_finite(&features);
        let done: Vec<bool> = text(&features, "state").iter().map(|state| *state == "done").collect();
        for (column, seen) in seen.iter_mut().enumerate().take(end).skip(first) {
            let name = &schema.fields[column].name;
            for (row, done) in done.iter().enumerate() {
                let valid = features[name.as_str()].is_valid(row);
                assert!(*done || !valid, "{unit}: row {row} has {name}");
                *seen |= valid;
            }
        }
    }
    for path in files_below(&run.path().join("spectra")) {
        assert_finite(&crate::run_folder::read_parquet(&path).0);
    }
    // Members of blends are measured as a group: their columns are NULL and their flags say so.
    let never: Vec<&str> = (first..end)
        .filter(|column| !seen[*column])
        .map(|column| schema.fields[column].name.as_str())
        .filter(|name| !["_flux", "_ivar", "_ew", "_cont", "_frac"].iter().any(|end| name.ends_with(end)))
        .collect();
    assert!(never.is_empty(), "no target has {never:?}");
}

/// Fails where a float of any column is NaN or infinite.
pub(crate) fn assert_finite(batch: &RecordBatch) {
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let finite = if let Some(floats) = column.as_primitive_opt::<Float32Type>() {
            floats.iter().flatten().all(f32::is_finite)
        } else if let Some(doubles) = column.as_primitive_opt::<Float64Type>() {
            doubles.iter().flatten().all(f64::is_finite)
        } else if let Some(lists) = column.as_fixed_size_list_opt() {
            let values = lists.values().as_primitive::<Float32Type>();
            values.null_count() == 0 && values.values().iter().all(|value| value.is_finite())
        } else {
            let known = [DataType::Utf8, DataType::Int16, DataType::Int32, DataType::Int64];
            assert!(known.contains(column.data_type()), "{}: no test knows its type", field.name());
            true
        };
        assert!(finite, "{} holds a number that is not finite", field.name());
    }
}

#[test]
fn footers_say_what_made_a_file_and_nothing_of_where_and_when() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    run.run(0);
    let version = Stage::Extract.version().to_string();
    for account in run.accounts() {
        for output in &account.outputs {
            let (batch, mut footer) = run.read(&output.path);
            let mut take =
                |key: &str| footer.remove(key).unwrap_or_else(|| panic!("{}: no {key}", output.path));
            assert_eq!(take("specmill.stage"), "extract");
            assert_eq!(take("specmill.stage_version"), version);
            assert_eq!(take("specmill.stage_hash"), account.stage_hash);
            assert_eq!(take("specmill.code_version"), env!("CARGO_PKG_VERSION"));
            assert_eq!(take("specmill.unit"), account.unit.to_string());
            // Names, types, units and descriptions of the columns.
            assert!(!take("ARROW:schema").is_empty());
            if output.path.starts_with("spectra/") {
                let class = output.path.split('/').nth(1).unwrap();
                assert_eq!(take("specmill.class"), class);
                let DataType::FixedSizeList(_, length) = batch["flux"].data_type() else { panic!("{class}") };
                assert_eq!(take("grid_n_pixels"), length.to_string());
                assert_eq!(take("grid_unit"), "Angstrom, vacuum, rest frame");
                let log10_first: f64 = take("grid_log10_first").parse().unwrap();
                let dlog10: f64 = take("grid_dlog10").parse().unwrap();
                let last_aa = 10_f64.powf(log10_first + f64::from(*length) * dlog10);
                assert!(log10_first > 2.9 && last_aa < 10_000.0, "{log10_first} {last_aa}");
            }
            // Every value above is known; a key that could hold a path, a host or a time is one more.
            assert!(footer.is_empty(), "{footer:?}");
        }
    }
    let (_, footer) = run.read("inventory.parquet");
    assert_eq!(footer.keys().collect::<Vec<_>>(), ["ARROW:schema", "ignored_files"]);
}

#[test]
fn a_plan_is_sentences_and_starts_nothing() {
    let release = Release::shared();
    let run = RunFolder::over(release.root());
    let plan = run.call(&["plan"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    for line in plan.stdout.lines() {
        assert!(line.ends_with('.') && line.starts_with(char::is_uppercase), "{line}");
    }
    for sentence in [
        "Will combine the arms under mask rule `masked`.",
        "Will take redshifts from the redrock file of each unit.",
        "Found 5 units with 60 targets",
    ] {
        assert!(plan.stdout.contains(sentence), "{}", plan.stdout);
    }
    assert!(!run.path().exists());
}

#[test]
fn status_says_what_is_complete_missing_or_wrong_by_words_and_exit_code() {
    let release = Release::shared().copy();
    let mut run = RunFolder::over(release.root());
    let early = run.call(&["status"]);
    assert_eq!(early.code, 2);
    assert!(
        early.stderr.contains("no inventory in") && early.stderr.contains("specmill run"),
        "{}",
        early.stderr
    );
    run.run(0);
    let plan = run.call(&["plan"]);
    assert!(plan.stdout.contains("At the rate of the last run"), "{}", plan.stdout);
    let status = run.call(&["status"]);
    assert_eq!(status.code, 0, "{}", status.stdout);
    assert!(status.stdout.contains("units: 5 in the inventory, 5 accounted for"), "{}", status.stdout);
    assert!(status.stdout.contains("targets: 60 rows in"), "{}", status.stdout);

    fs_err::remove_file(&files_below(&run.path().join("spectra"))[0]).unwrap();
    let status = run.call(&["status"]);
    assert_eq!(status.code, 3, "{}", status.stdout);
    assert!(status.stdout.contains("not done yet: 1"), "{}", status.stdout);

    fs_err::remove_file(&release.files("redrock-")[0]).unwrap();
    run.run(3);
    let status = run.call(&["status"]);
    assert_eq!(status.code, 3, "{}", status.stdout);
    assert!(status.stdout.contains("no redrock file for this coadd"), "{}", status.stdout);
    assert!(status.stdout.contains("no_redshift"), "{}", status.stdout);

    // Counts that do not add up outrank everything else.
    let unit = run.accounts().into_iter().find(|account| account.state == State::Done).unwrap().unit;
    let path = run.path().join(format!("ledger/extract/{unit}.json"));
    let honest = fs_err::read_to_string(&path).unwrap();
    for pointers in [&["/rows/done/"][..], &["/rows/done/", "/rows_in"]] {
        let mut row: serde_json::Value = serde_json::from_str(&honest).unwrap();
        for pointer in pointers {
            let count = row.pointer_mut(pointer).unwrap();
            *count = (count.as_u64().unwrap() - 1).into();
        }
        fs_err::write(&path, row.to_string()).unwrap();
        let status = run.call(&["status"]);
        assert_eq!(status.code, 6, "{}", status.stdout);
        assert!(
            status.stdout.contains(&format!("counts that do not add up: 1\n  {unit}: ")),
            "{}",
            status.stdout
        );
        run.run(6);
    }

    // Results of units that the input no longer names are not passed over in silence.
    run.set("input.units", "[\"iron/tile\"]").call(&["inventory"]);
    let status = run.call(&["status"]);
    assert!(status.stdout.contains("in this folder from another input: 4"), "{}", status.stdout);
}

#[test]
fn a_catalogue_gives_what_redrock_gives_where_it_knows_the_target_once() {
    let release = Release::shared();
    let from_redrock = RunFolder::over(release.root());
    from_redrock.run(0);
    let mut from_catalogue = RunFolder::over(release.root());
    let catalogue = release.files("zall-pix-").remove(0);
    from_catalogue
        .set("redshifts.source", "\"catalog\"")
        .set("redshifts.path", &format!("{catalogue:?}"))
        .set("redshifts.hdu", "\"ZCATALOG\"");
    for column in ["zerr", "zwarn", "deltachi2", "spectype", "subtype"] {
        from_catalogue.set(&format!("redshifts.{column}"), &format!("\"{}\"", column.to_uppercase()));
    }
    // The tile's targets are not in a catalogue of pixels.
    from_catalogue.run(3);

    let mut zs = BTreeMap::<i64, Vec<u64>>::new();
    let pixels = || from_redrock.units().into_iter().filter(|unit| unit.to_string().contains("/healpix/"));
    for unit in pixels() {
        let features = from_redrock.features(&unit);
        let z = features["z"].as_primitive::<Float64Type>().values();
        for (targetid, z) in features["targetid"].as_primitive::<Int64Type>().values().iter().zip(z) {
            zs.entry(*targetid).or_default().push(z.to_bits());
        }
    }
    let (mut equal, mut ambiguous) = (0, 0);
    for unit in pixels() {
        let (theirs, ours) = (from_redrock.features(&unit), from_catalogue.features(&unit));
        let targetid = ours["targetid"].as_primitive::<Int64Type>().values();
        for (row, targetid) in targetid.iter().enumerate() {
            if zs[targetid].iter().any(|z| *z != zs[targetid][0]) {
                assert_eq!(text(&ours, "reason")[row], "ambiguous_redshift");
                ambiguous += 1;
                continue;
            }
            for field in ours.schema().fields().iter().filter(|field| field.name() != "stage_hash") {
                let name = field.name().as_str();
                let [a, b] = [&ours, &theirs].map(|features| features[name].slice(row, 1).to_data());
                assert_eq!(a, b, "{unit}: row {row}: {name}");
            }
            equal += 1;
        }
    }
    assert_eq!((equal, ambiguous), (46, 2), "one target of the pixels is observed twice");

    let tile = from_redrock.units().into_iter().find(|unit| unit.to_string().contains("/tile/")).unwrap();
    let (theirs, ours) = (from_redrock.features(&tile), from_catalogue.features(&tile));
    for ((before, state), reason) in
        text(&theirs, "state").into_iter().zip(text(&ours, "state")).zip(text(&ours, "reason"))
    {
        let expected = if before == "done" { "missing_upstream" } else { before };
        assert_eq!(state, expected);
        assert_eq!(reason == "no_redshift", before == "done");
    }
}

/// Fails unless a run was refused for want of its device, with one way out, and left nothing.
fn assert_refused(run: &RunFolder, outcome: &Outcome, device: &str) {
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(&format!("error: device `{device}` is unavailable")),
        "{}",
        outcome.stderr
    );
    let help: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with("help: ")).collect();
    assert!(help.len() == 1 && help[0].contains("--device cpu"), "{}", outcome.stderr);
    assert!(!run.path().exists(), "it wrote into {}", run.path().display());
}

#[test]
fn a_gpu_that_cannot_be_had_is_said_and_never_silently_replaced() {
    let release = Release::shared();
    let whole = || {
        let mut run = RunFolder::with_models_over(release.root());
        run.set("models.galaxy.components", "2").set("models.qso.name", "\"\"");
        run.set("fit-basis.min_snr", "0.0").set("neighbors.k", "3").set("neighbors.score_k", "2");
        run
    };
    let run = whole();
    // No machine has this many.
    assert_refused(&run, &run.call(&["run", "--device", "cuda:4000"]), "cuda:4000");

    let warnings = |outcome: &Outcome| outcome.stderr.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings(&run.run(0)), 0);
    let digests = run.digests();
    assert!(digests.keys().any(|name| name.starts_with("neighbors/")), "{digests:?}");
    let (automatic, named) = (whole(), whole());
    let of_automatic = automatic.call(&["run", "--device", "auto"]);
    assert_eq!(of_automatic.code, 0, "{}", of_automatic.stderr);
    assert_eq!(automatic.digests(), digests);
    let of_named = named.call(&["run", "--device", "cuda:0"]);
    // What there is decides which of the two was right.
    match Driver::open(0, 1, &NoCache) {
        Ok(_) => {
            assert_eq!(warnings(&of_automatic), 0, "{}", of_automatic.stderr);
            assert_eq!((of_named.code, warnings(&of_named)), (0, 0), "{}", of_named.stderr);
            assert_eq!(named.digests(), digests);
        }
        Err(reason) => {
            assert_eq!(warnings(&of_automatic), 1, "{}", of_automatic.stderr);
            let said = format!("computing on the CPU: {reason}");
            assert!(of_automatic.stderr.contains(&said), "{}", of_automatic.stderr);
            assert_refused(&named, &of_named, "cuda:0");
        }
    }
}
