//! `similar`: the exact neighbours, filtered as asked, or the reason why there are none.

use super::TestDatabase;
use super::index::{Clusters, MODEL, UNIT};
use super::lake::Lake;
use crate::run_folder::Outcome;

/// Unit, TARGETID and distance of each line of the table.
fn listed(outcome: &Outcome) -> Vec<(String, String, f64)> {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines = outcome.stdout.lines().skip_while(|line| !line.starts_with("rank ")).skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[1].to_owned(), words[2].to_owned(), words[4].parse().unwrap())
        })
        .collect()
}

#[test]
fn the_neighbours_are_the_exact_ones() {
    let Some(database) = TestDatabase::migrated() else { return };
    let lake = Lake::new();
    lake.load(&database.url(), 0);
    assert_eq!(lake.call(&database.url(), &["db", "index"]).code, 0);
    let mut session = database.session();
    let targets = session.rows(
        "SELECT DISTINCT ON (n.model_hash) n.targetid, n.unit, m.name FROM ml.neighbors n JOIN ml.models m \
         USING (model_hash) WHERE metric = 'l2' ORDER BY n.model_hash, n.targetid",
    );
    assert_eq!(targets.len(), 2);
    for target in targets {
        let [targetid, unit, model] = target.try_into().unwrap();
        let picture = lake.path().join("similar.png");
        let words = [
            "similar",
            "--target",
            &targetid,
            "--unit",
            &unit,
            "-k",
            "6",
            "--out",
            picture.to_str().unwrap(),
        ];
        let outcome = lake.call(&database.url(), &words);
        let exact = session.rows(&format!(
            "SELECT neighbor_unit, neighbor_targetid, distance FROM ml.neighbors n JOIN ml.models m USING (model_hash) \
             WHERE m.name = '{model}' AND metric = 'l2' AND unit = '{unit}' AND targetid = {targetid} ORDER BY rank"
        ));
        let found = listed(&outcome);
        assert_eq!(found.len(), exact.len());
        assert!(found.len() >= 4, "{found:?}");
        for ((found_unit, found_id, distance), row) in found.iter().zip(&exact) {
            assert_eq!((found_unit, found_id), (&row[0], &row[1]));
            // Five decimals are printed.
            assert!((distance - row[2].parse::<f64>().unwrap()).abs() < 1e-5, "{row:?} {distance}");
        }
        assert!(outcome.stdout.contains(&format!("model {model} ")), "{}", outcome.stdout);
        assert!(fs_err::metadata(picture).unwrap().len() > 10_000);
        let in_sql = session.rows(&format!(
            "SELECT unit, targetid FROM ml.similar({targetid}, k => 6, unit_prefix => '{unit}') ORDER BY rank"
        ));
        let printed: Vec<Vec<String>> =
            found.into_iter().map(|(found_unit, found_id, _)| vec![found_unit, found_id]).collect();
        assert_eq!(in_sql, printed);
    }
}

/// The neighbours of target 5 that fulfil a condition, by comparing every vector.
fn by_hand(clusters: &Clusters, condition: &str) -> Vec<String> {
    let rows = clusters.database.session().rows(&format!(
        "SELECT f.targetid FROM ml.embeddings e JOIN spectra.features f USING (unit, targetid), \
         (SELECT embedding AS v FROM ml.embeddings WHERE targetid = 5 AND model_hash = '{MODEL}') q \
         WHERE f.targetid <> 5 AND EXISTS (SELECT FROM (SELECT f.*) x WHERE {condition}) \
         ORDER BY e.embedding <-> q.v, f.targetid LIMIT 10"
    ));
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

#[test]
fn a_filter_leaves_only_rows_that_fulfil_it_and_the_nearest_of_them() {
    let Some(clusters) = Clusters::new() else { return };
    clusters.index(&[]);
    for filter in [
        "z between 0.4 and 0.9",
        "z between 0.4 and 0.9 and zwarn = 0",
        "zwarn in (1, 3) and z not between 0.2 and 0.8",
        "spectype = 'GALAXY' and subtype is null and z <> 0",
        // Few or no rows: a scan of the index would give up before it has them all.
        "targetid > 2480",
        "targetid in (10, 999, 2400)",
        "spectype = 'QSO'",
        "unit = 'it''s elsewhere; DROP TABLE ml.models'",
    ] {
        let outcome =
            clusters.lake.call(&clusters.database.url(), &["similar", "--target", "5", "--where", filter]);
        let found: Vec<String> = listed(&outcome).into_iter().map(|(_, targetid, _)| targetid).collect();
        let expected = by_hand(&clusters, filter);
        // The index is approximate: one of ten may be missed at a filter that leaves many.
        let hits = found.iter().filter(|targetid| expected.contains(targetid)).count();
        assert_eq!(found.len(), expected.len(), "{filter}: {found:?}");
        assert!(hits + 1 >= expected.len(), "{filter}: {found:?} {expected:?}");
        if expected.len() < 10 {
            assert_eq!(found, expected, "{filter}");
            assert!(outcome.stdout.contains("there are no more"), "{}", outcome.stdout);
        }
    }
}

#[test]
fn what_cannot_be_answered_is_told_with_its_reason() {
    let Some(clusters) = Clusters::new() else { return };
    let mut session = clusters.database.session();
    let second = MODEL.replace("0011", "ffee");
    session.run(&format!(
        "INSERT INTO ml.models SELECT '{second}', 'second', version, class, embedder, dimension, n_pixels, \
             grid_log10_first, grid_dlog10, sample_sha256, explained_variance, card, card_markdown FROM ml.models; \
         SELECT ml.open_model('{second}', 8); \
         INSERT INTO ml.embeddings (model_hash, unit, targetid, row, state, z, good_pixel_fraction, n_good_pixels, \
             embedding) SELECT '{second}', unit, targetid, row, state, z, 1, 1, embedding FROM ml.embeddings \
             WHERE targetid = 7; \
         INSERT INTO ml.embeddings (model_hash, unit, targetid, row, state, reason, z, good_pixel_fraction, \
             n_good_pixels) VALUES ('{second}', '{UNIT}', -3, 1, 'empty', 'coverage', 1, 0, 0)"
    ));
    let ask = |words: &[&str]| {
        let outcome = clusters.lake.call(&clusters.database.url(), &[&["similar"], words].concat());
        (outcome.code, outcome.stderr)
    };
    for (words, said) in [
        (&["--target", "99999"][..], "target 99999 is not in the database"),
        (&["--target", "5", "--unit", "fuji"], "in a unit that starts with `fuji`"),
        (&["--target=-3"], "target -3 has no vector: coverage"),
        (&["--target", "7"], "under several models"),
        (&["--target", "5", "--where", "redshift > 1"], "has no column `redshift`"),
        (&["--target", "5", "-k", "0"], "0 is not in 1..=10000"),
        (&["--target", "5", "-k", "10001"], "10001 is not in 1..=10000"),
    ] {
        let (code, stderr) = ask(words);
        assert_eq!(code, 2, "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
        assert!(!stderr.contains("correct the run file"), "{words:?}: {stderr}");
    }
    let (code, stderr) = ask(&["--target", "7", "--model", "clusters"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_reader_may_ask() {
    let Some(clusters) = Clusters::new() else { return };
    clusters.index(&[]);
    let reader = clusters.database.login("specmill_reader");
    let outcome = clusters.lake.call(&clusters.database.url_as(&reader), &["similar", "--target", "5"]);
    assert_eq!(listed(&outcome).len(), 10);
}
