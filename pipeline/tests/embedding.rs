//! From spectra to vectors and neighbours, from outside: the program run over a simulated release.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int64Type};
use specmill::ledger::{LedgerRow, State};
use specmill::stage::Stage;

use crate::run_folder::{Outcome, Release, RunFolder, files_below, read_table, text};

/// Five units of 30 targets, pixels and a tile; not to be written to.
fn release() -> Arc<Release> {
    static SHARED: LazyLock<Arc<Release>> = LazyLock::new(|| Arc::new(Release::simulate_lasting(150, 30)));
    Arc::clone(&SHARED)
}

/// A run with models small enough for the few spectra there are.
pub(crate) fn small(root: &std::path::Path) -> RunFolder {
    with_small_models(RunFolder::with_models_over(root))
}

fn with_small_models(mut run: RunFolder) -> RunFolder {
    for class in ["galaxy", "qso"] {
        run.set(&format!("models.{class}.components"), "3");
    }
    run.set("fit-basis.min_snr", "0.0")
        .set("neighbors.k", "6")
        .set("neighbors.score_k", "4")
        .set("neighbors.metrics", "[\"l2\", \"cosine\"]");
    run
}

/// Such a run, finished, for tests that only read it.
fn finished() -> &'static RunFolder {
    static FINISHED: LazyLock<RunFolder> = LazyLock::new(|| {
        let run = with_small_models(RunFolder::lasting_over(release().root(), "embedded"));
        run.run(0);
        run
    });
    &FINISHED
}

fn counts(rows: &[LedgerRow], state: State) -> u64 {
    rows.iter().flat_map(|row| row.rows.get(&state)).flat_map(BTreeMap::values).sum()
}

/// Units computed and units settled before, from the table a run prints.
fn units_and_settled(outcome: &Outcome, stage: Stage) -> (usize, usize) {
    let name = format!("{stage} ");
    let line = outcome.stdout.lines().find(|line| line.starts_with(&name)).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).take(2).map(|n| n.parse().unwrap()).collect();
    (counts[0], counts[1])
}

/// Every row of the Parquet files below a folder of the run, one batch a file.
fn tables(run: &RunFolder, folder: &str) -> Vec<RecordBatch> {
    files_below(&run.path().join(folder)).iter().map(|path| read_table(path)).collect()
}

fn floats<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::Float32Array {
    batch.column_by_name(name).unwrap().as_primitive::<Float32Type>()
}

fn ids<'a>(batch: &'a RecordBatch, name: &str) -> &'a [i64] {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values()
}

#[test]
fn every_spectrum_of_a_class_with_a_model_has_a_vector_or_a_reason() {
    let run = finished();
    for class in ["galaxy", "qso"] {
        let spectra: usize = tables(run, &format!("spectra/{class}")).iter().map(RecordBatch::num_rows).sum();
        let embeddings = tables(run, &format!("embeddings/{class}-empca"));
        assert!(spectra > 6, "{class}");
        assert_eq!(embeddings.iter().map(RecordBatch::num_rows).sum::<usize>(), spectra, "{class}");
        for batch in &embeddings {
            let vectors = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
            assert_eq!(vectors.value_length(), 3);
            for (row, state) in text(batch, "state").iter().enumerate() {
                assert_eq!(vectors.is_valid(row), *state == "done");
                let reason = batch.column_by_name("reason").unwrap().as_string::<i32>();
                assert_eq!(reason.is_valid(row), *state == "empty");
                if vectors.is_valid(row) {
                    let vector = vectors.value(row);
                    assert!(vector.as_primitive::<Float32Type>().values().iter().all(|x| x.is_finite()));
                    let chi2 = floats(batch, "chi2_reduced").value(row);
                    assert!(chi2 > 0.0 && chi2 < 100.0, "{chi2}");
                }
            }
            let fraction = floats(batch, "good_pixel_fraction");
            assert!(fraction.values().iter().all(|share| (0.0..=1.0).contains(share)));
        }
    }
    let accounts = run.accounts_of(Stage::Embed);
    assert_eq!(accounts.len(), 5);
    assert!(accounts.iter().all(LedgerRow::adds_up));
    let in_spectra: usize = ["galaxy", "qso"]
        .iter()
        .flat_map(|class| tables(run, &format!("spectra/{class}")))
        .map(|t| t.num_rows())
        .sum();
    assert_eq!(counts(&accounts, State::Done) + counts(&accounts, State::Empty), in_spectra as u64);
}

/// A row of the neighbours' table: (unit, targetid), rank, (unit, targetid), distance, same target, reciprocal.
type Key = (String, i64);

#[test]
fn neighbours_are_those_a_plain_search_in_double_precision_finds() {
    let run = finished();
    for class in ["galaxy", "qso"] {
        let mut vectors: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
        for batch in tables(run, &format!("embeddings/{class}-empca")) {
            let list = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
            for (row, unit) in text(&batch, "unit").iter().enumerate().filter(|(row, _)| list.is_valid(*row))
            {
                let vector = list.value(row);
                let vector = vector.as_primitive::<Float32Type>().values().iter().map(|x| f64::from(*x));
                vectors.insert(((*unit).to_owned(), ids(&batch, "targetid")[row]), vector.collect());
            }
        }
        let table = read_table(&run.path().join(format!("neighbors/{class}-empca.parquet")));
        let n = vectors.len();
        assert_eq!(table.num_rows(), 2 * n * 6.min(n - 1));
        for metric in ["l2", "cosine"] {
            let found = neighbours(&table, metric);
            assert_eq!(found.len(), n);
            for (key, list) in &found {
                check_against_plain_search(&vectors, metric, key, list);
                for (other, _, same_target, reciprocal) in list {
                    assert_eq!(*same_target, other.1 == key.1);
                    assert_eq!(*reciprocal, found[other].iter().any(|(back, ..)| back == key));
                }
            }
            check_scores(run, class, metric, &found);
        }
    }
}

/// A neighbour: key, distance, same target, reciprocal.
type Neighbour = (Key, f64, bool, bool);

fn neighbours(table: &RecordBatch, metric: &str) -> BTreeMap<Key, Vec<Neighbour>> {
    let mut found: BTreeMap<Key, Vec<Neighbour>> = BTreeMap::new();
    let bools = |name: &str| table.column_by_name(name).unwrap().as_boolean().clone();
    let (same, reciprocal) = (bools("same_target"), bools("reciprocal"));
    let rank = table.column_by_name("rank").unwrap().as_primitive::<Int16Type>();
    let (unit, other) = (text(table, "unit"), text(table, "neighbor_unit"));
    for (row, _) in text(table, "metric").iter().enumerate().filter(|(_, name)| **name == metric) {
        let list = found.entry((unit[row].to_owned(), ids(table, "targetid")[row])).or_default();
        assert_eq!(usize::try_from(rank.value(row)).unwrap(), list.len() + 1);
        let key = (other[row].to_owned(), ids(table, "neighbor_targetid")[row]);
        let distance = f64::from(floats(table, "distance").value(row));
        list.push((key, distance, same.value(row), reciprocal.value(row)));
    }
    found
}

fn plain_distance(metric: &str, a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    match metric {
        "l2" => a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
        _ => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
    }
}

fn check_against_plain_search(
    vectors: &BTreeMap<Key, Vec<f64>>,
    metric: &str,
    key: &Key,
    found: &[Neighbour],
) {
    let mut plain: Vec<(f64, &Key)> = vectors
        .iter()
        .filter(|(other, _)| *other != key)
        .map(|(other, vector)| (plain_distance(metric, &vectors[key], vector), other))
        .collect();
    plain.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    assert_eq!(found.len(), plain.len().min(6));
    for (rank, ((other, distance, ..), (expected, expected_key))) in found.iter().zip(&plain).enumerate() {
        // Single precision, of the square in `l2`; cosine is a difference of numbers near 1.
        let tolerance = if metric == "l2" { 1e-5 * expected } else { 1e-5 * expected + 3e-7 };
        assert!((distance - expected).abs() <= tolerance, "{key:?} {rank}: {distance} {expected}");
        let alone = |gap: f64| gap > 2.0 * tolerance;
        let after = plain.get(rank + 1).is_none_or(|next| alone(next.0 - expected));
        let before = rank == 0 || alone(expected - plain[rank - 1].0);
        assert!(other == *expected_key || !(after && before), "{key:?} {rank}");
    }
}

fn check_scores(run: &RunFolder, class: &str, metric: &str, found: &BTreeMap<Key, Vec<Neighbour>>) {
    let table = read_table(&run.path().join(format!("scores/{class}-empca.parquet")));
    let units = text(&table, "unit");
    let mut rows = 0;
    for (row, _) in text(&table, "metric").iter().enumerate().filter(|(_, name)| **name == metric) {
        let others: Vec<f64> = found[&(units[row].to_owned(), ids(&table, "targetid")[row])]
            .iter()
            .filter(|(_, _, same_target, _)| !same_target)
            .map(|(_, distance, ..)| *distance)
            .take(4)
            .collect();
        let count = table.column_by_name("n_neighbors").unwrap().as_primitive::<Int16Type>().value(row);
        assert_eq!(usize::try_from(count).unwrap(), others.len());
        assert!(
            (f64::from(floats(&table, "knn_distance").value(row)) - others[others.len() - 1]).abs() < 1e-12
        );
        let mean = others.iter().sum::<f64>() / others.len() as f64;
        // One rounding to single precision.
        assert!((f64::from(floats(&table, "knn_mean_distance").value(row)) - mean).abs() <= 1e-7 * mean);
        rows += 1;
    }
    assert_eq!(rows, found.len());
}

#[test]
fn threads_and_batches_never_change_a_vector_a_model_or_a_neighbour() {
    let release = release();
    let mut expected: Option<BTreeMap<String, String>> = None;
    for (threads, batch_rows) in [(1, 64), (2, 7), (8, 512)] {
        let mut run = small(release.root());
        run.set("resources.threads", &threads.to_string())
            .set("resources.batch_rows", &batch_rows.to_string());
        run.run(0);
        let digests = run.digests();
        for file in
            ["models/qso-empca/card.toml", "neighbors/qso-empca.parquet", "scores/galaxy-empca.parquet"]
        {
            assert!(digests.contains_key(file), "{file} {:?}", digests.keys());
        }
        let expected = expected.get_or_insert_with(|| digests.clone());
        assert!(digests == *expected, "{threads} threads, batches of {batch_rows}");
    }
}

#[test]
fn a_setting_recomputes_what_it_decides_and_nothing_before_it() {
    let release = release();
    let mut run = small(release.root());
    run.run(0);
    let again = run.run(0);
    for (stage, units) in
        [(Stage::Extract, 5), (Stage::FitBasis, 2), (Stage::Embed, 5), (Stage::Neighbors, 2)]
    {
        assert_eq!(units_and_settled(&again, stage), (0, units), "{stage}");
    }
    let digests = run.digests();
    run.set("neighbors.k", "5");
    let outcome = run.run(0);
    assert_eq!(units_and_settled(&outcome, Stage::Embed), (0, 5));
    assert_eq!(units_and_settled(&outcome, Stage::Neighbors), (2, 0));
    run.set("models.qso.components", "2");
    let outcome = run.run(0);
    assert_eq!(units_and_settled(&outcome, Stage::FitBasis), (1, 1));
    assert_eq!(units_and_settled(&outcome, Stage::Embed), (5, 0));
    run.set("neighbors.k", "6").set("models.qso.components", "3");
    run.run(0);
    assert_eq!(run.digests(), digests);
}

#[test]
fn a_model_made_elsewhere_gives_the_same_vectors_and_a_damaged_one_is_refused() {
    let release = release();
    let first = small(release.root());
    first.run(0);
    let given = first.path().join("models/qso-empca");
    let mut second = small(release.root());
    second.set("models.qso.folder", &format!("{given:?}")).set("models.galaxy.name", "\"\"");
    second.run(0);
    let vectors = |run: &RunFolder| -> Vec<(String, String)> {
        run.digests().into_iter().filter(|(name, _)| name.starts_with("embeddings/qso")).collect()
    };
    let values = |run: &RunFolder| {
        let batches = tables(run, "embeddings/qso-empca");
        batches.iter().map(|batch| batch.column_by_name("embedding").unwrap().clone()).collect::<Vec<_>>()
    };
    assert!(!vectors(&first).is_empty());
    assert!(values(&first).iter().zip(&values(&second)).all(|(a, b)| a == b));

    second.set("models.galaxy.name", "\"galaxy-empca\"").set("models.galaxy.folder", &format!("{given:?}"));
    let outcome = second.call(&["run"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("models.galaxy: qso-empca is a model for qso"), "{}", outcome.stderr);

    second.set("models.galaxy.name", "\"\"");
    let card = given.join("card.toml");
    let text = fs_err::read_to_string(&card).unwrap();
    fs_err::write(&card, text.replace("class = \"qso\"", "class = \"galaxy\"")).unwrap();
    let outcome = second.call(&["run"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("its content has hash"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("help:"), "{}", outcome.stderr);
}

#[test]
fn a_class_too_small_for_a_basis_is_empty_with_its_reason() {
    let release = release();
    let mut run = small(release.root());
    run.set("models.qso.components", "64");
    let outcome = run.run(0);
    assert!(outcome.stdout.contains("model/qso-empca: "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("64 components need at least 128"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("no_model"), "{}", outcome.stdout);
    assert!(!run.path().join("embeddings/qso-empca").exists());
    assert!(run.path().join("neighbors/galaxy-empca.parquet").exists());
}

#[test]
fn damaged_spectra_fail_their_unit_and_the_others_are_embedded() {
    let release = release();
    let run = small(release.root());
    run.run(0);
    let units: BTreeSet<String> = run.units().iter().map(ToString::to_string).collect();
    let victim = &units.iter().next().unwrap().clone();
    let spectra = run.path().join(format!("spectra/galaxy/{victim}.parquet"));
    let mut bytes = fs_err::read(&spectra).unwrap();
    // The same length, so that the account still stands; the data pages are gone.
    let end = bytes.len() / 2;
    bytes[4..end].fill(0);
    fs_err::write(&spectra, bytes).unwrap();
    fs_err::remove_dir_all(run.path().join("ledger/embed")).unwrap();
    let outcome = run.call(&["run", "--stage", "embed"]);
    assert_eq!(outcome.code, 3, "{}{}", outcome.stdout, outcome.stderr);
    let failed: Vec<LedgerRow> =
        run.accounts_of(Stage::Embed).into_iter().filter(|row| row.state == State::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].unit.to_string(), *victim);
    assert!(failed[0].reason.as_deref().unwrap().contains("spectra/galaxy"), "{:?}", failed[0].reason);
    assert!(!run.path().join(format!("embeddings/galaxy-empca/{victim}.parquet")).exists());
}

#[test]
fn the_redshift_of_a_vector_is_that_of_its_features() {
    let run = finished();
    let mut checked = 0;
    for unit in run.units() {
        let features = run.features(&unit);
        let of_target: BTreeMap<i64, f64> = ids(&features, "targetid")
            .iter()
            .zip(features.column_by_name("z").unwrap().as_primitive::<Float64Type>().iter())
            .filter_map(|(id, z)| Some((*id, z?)))
            .collect();
        for class in ["galaxy", "qso"] {
            let path = run.path().join(format!("embeddings/{class}-empca/{unit}.parquet"));
            if !path.exists() {
                continue;
            }
            let table = read_table(&path);
            let z = table.column_by_name("z").unwrap().as_primitive::<Float64Type>();
            for (row, id) in ids(&table, "targetid").iter().enumerate() {
                assert_eq!(z.value(row).to_bits(), of_target[id].to_bits());
                checked += 1;
            }
        }
    }
    assert!(checked > 20);
}
