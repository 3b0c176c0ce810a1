//! `ml.similar`: the nearest spectra, by an index or without one.

use std::collections::BTreeSet;

use super::{Session, TestDatabase};

const HASH: &str = "aaaabbbbccccddddeeeeffff00001111";
const OTHER: &str = "1111bbbbccccddddeeeeffff00001111";
const ROWS: i64 = 3000;
const PARTITION: &str = "ml.embeddings_aaaabbbbccccdddd";

fn add_model(session: &mut Session, hash: &str, name: &str) {
    session.run(&format!(
        "INSERT INTO ml.models VALUES ('{hash}', '{name}', 1, 'QSO', 'pca', 8, 100, 3.0, 1e-4, 'abc', NULL, '{{}}', 'card'); \
         SELECT ml.open_model('{hash}', 8)"
    ));
}

/// A database with vectors in 50 groups that overlap (a graph may lose groups that lie apart); TARGETID 1 to ROWS in unit `a`, 1 once more in unit `b`.
fn filled() -> Option<TestDatabase> {
    let database = TestDatabase::migrated()?;
    let mut session = database.session();
    add_model(&mut session, HASH, "qso-pca");
    session.run(&format!(
        "SELECT setseed(0.5); \
         CREATE TEMP TABLE centre AS SELECT g, array_agg(random() * 2 ORDER BY d) AS at \
         FROM generate_series(0, 49) g, generate_series(1, 8) d GROUP BY g; \
         INSERT INTO ml.embeddings (model_hash, unit, targetid, \"row\", state, z, good_pixel_fraction, n_good_pixels, \
         amplitude_snr, embedding) \
         SELECT '{HASH}', 'a', n, n, 'done', 1 + n / {ROWS}.0, 1, 10, 5, \
         (SELECT array_agg(x + random() + n * 0 ORDER BY i) FROM unnest(c.at) WITH ORDINALITY u(x, i))::real[]::vector \
         FROM generate_series(1, {ROWS}) n JOIN centre c ON c.g = n % 50; \
         INSERT INTO ml.embeddings (model_hash, unit, targetid, \"row\", state, z, good_pixel_fraction, n_good_pixels, \
         amplitude_snr, embedding) \
         SELECT model_hash, 'b', targetid, \"row\", state, z, 1, 10, 4, embedding FROM ml.embeddings WHERE targetid = 1; \
         INSERT INTO ml.embeddings (model_hash, unit, targetid, \"row\", state, reason, z, good_pixel_fraction, n_good_pixels) \
         VALUES ('{HASH}', 'a', 5000, 1, 'empty', 'coverage', 1, 0.1, 1); \
         INSERT INTO spectra.features (unit, targetid, \"row\", state, specprod, flags, n_good_pixels, n_masked_pixels, \
         n_bad_pixels, stage_hash, spectype) VALUES ('a', 6000, 1, 'done', 'iron', 0, 1, 0, 0, 'h', 'STAR'); \
         ANALYZE ml.embeddings"
    ));
    Some(database)
}

/// (unit, targetid, distance) by the function, in its order.
fn similar(session: &mut Session, arguments: &str) -> Vec<(String, i64, f64)> {
    let rows = session.rows(&format!("SELECT rank, unit, targetid, distance FROM ml.similar({arguments})"));
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row[0], (n + 1).to_string());
    }
    rows.into_iter().map(|row| (row[1].clone(), row[2].parse().unwrap(), row[3].parse().unwrap())).collect()
}

/// The same by measuring every row.
fn exact(
    session: &mut Session,
    targetid: i64,
    operator: &str,
    k: usize,
    filter: &str,
) -> Vec<(String, i64, f64)> {
    let rows = session.rows(&format!(
        "SET enable_indexscan = off; SELECT e.unit, e.targetid, e.embedding {operator} q.embedding AS d \
         FROM ml.embeddings e, ml.embeddings q WHERE q.targetid = {targetid} AND q.unit = 'a' AND e.embedding IS NOT NULL \
         AND (e.unit, e.targetid) <> (q.unit, q.targetid) AND {filter} ORDER BY d, e.unit, e.targetid LIMIT {k}"
    ));
    session.run("RESET enable_indexscan");
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap(), row[2].parse().unwrap())).collect()
}

/// The share of the exact neighbours that the function finds, over 40 targets.
fn recall(session: &mut Session, metric: &str, operator: &str) -> f64 {
    let mut found = 0;
    for targetid in (7..ROWS).step_by(75) {
        let exact: BTreeSet<i64> =
            exact(session, targetid, operator, 10, "true").iter().map(|row| row.1).collect();
        let by_index = similar(session, &format!("{targetid}, metric => '{metric}'"));
        assert_eq!(by_index.len(), 10);
        assert!(by_index.windows(2).all(|pair| pair[0].2 <= pair[1].2), "{by_index:?}");
        found += by_index.iter().filter(|row| exact.contains(&row.1)).count();
    }
    f64::from(u32::try_from(found).unwrap()) / 400.0
}

fn scans(session: &mut Session, index: &str) -> u64 {
    session.run("SELECT pg_stat_force_next_flush()");
    session
        .value(&format!("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{index}'"))
        .parse()
        .unwrap()
}

#[test]
fn without_an_index_the_answer_is_exact() {
    let Some(database) = filled() else { return };
    let mut session = database.session();
    for targetid in [2, 77, 2999] {
        for (metric, operator) in [("l2", "<->"), ("cosine", "<=>")] {
            let found = similar(&mut session, &format!("{targetid}, metric => '{metric}'"));
            assert_eq!(found, exact(&mut session, targetid, operator, 10, "true"));
        }
    }
    let rows = session.rows("SELECT unit, targetid, same_target, distance FROM ml.similar(1, k => 2)");
    assert_eq!(rows[0], ["b", "1", "t", "0"], "another observation of the same target is marked, not hidden");
    assert_eq!(rows[1][2], "f");
    // Somebody who may only read, in a session that has not met pgvector yet.
    let mut reader = Session::open(&database.url_as(&database.login("specmill_reader")));
    assert_eq!(reader.rows("SELECT unit, targetid, same_target, distance FROM ml.similar(1, k => 2)"), rows);
    let of_b = session.rows("SELECT unit FROM ml.similar(1, unit_prefix => 'b', k => 1)");
    assert_eq!(of_b, [["a"]]);
}

#[test]
fn every_kind_of_index_is_used_and_finds_nearly_all() {
    let Some(database) = filled() else { return };
    let kinds = [
        ("hnsw", "vector", "l2", "<->", "vector_l2_ops", "{}"),
        ("hnsw", "halfvec", "l2", "<->", "halfvec_l2_ops", "{}"),
        ("hnsw", "vector", "cosine", "<=>", "vector_cosine_ops", "{}"),
        ("ivfflat", "vector", "l2", "<->", "vector_l2_ops", r#"{"lists": 16}"#),
    ];
    let mut session = database.session();
    for (method, precision, metric, operator, ops, parameters) in kinds {
        let with = if method == "ivfflat" { "WITH (lists = 16)" } else { "" };
        session.run(&format!(
            "CREATE INDEX tried ON {PARTITION} USING {method} ((embedding::{precision}(8)) {ops}) {with}; \
             INSERT INTO ml.vector_index VALUES ('tried', '{HASH}', '{metric}', '{method}', \
             '{parameters}'::jsonb || '{{\"precision\": \"{precision}\"}}', 1, 1)"
        ));
        let before = scans(&mut session, "tried");
        let recall = recall(&mut session, metric, operator);
        // 3000 rows at ef_search 100, or 4 of 16 lists: near-exact, but an approximate index promises nothing.
        assert!(recall > 0.95, "{method} {precision} {metric}: recall {recall}");
        assert!(scans(&mut session, "tried") >= before + 40, "{method} {precision} {metric} is not used");
        session.run("DROP INDEX ml.tried; DELETE FROM ml.vector_index");
    }
}

#[test]
fn a_filter_by_redshift_never_shortens_the_answer() {
    let Some(database) = filled() else { return };
    let mut session = database.session();
    session.run(&format!(
        "CREATE INDEX tried ON {PARTITION} USING hnsw ((embedding::vector(8)) vector_l2_ops); \
         INSERT INTO ml.vector_index VALUES ('tried', '{HASH}', 'l2', 'hnsw', '{{\"precision\": \"vector\"}}', 1, 1)"
    ));
    let before = scans(&mut session, "tried");
    let found = similar(&mut session, "30, z_min => 1.2, z_max => 1.7");
    assert!(scans(&mut session, "tried") > before);
    let wanted = exact(&mut session, 30, "<->", 10, "e.z BETWEEN 1.2 AND 1.7");
    let missed = wanted.iter().filter(|row| !found.contains(row)).count();
    assert!(found.len() == 10 && missed <= 1, "{found:?} {wanted:?}");
    // Twelve rows in all of 3000, then three.
    let found = similar(&mut session, "30, z_min => 1.5, z_max => 1.504");
    assert_eq!(found, exact(&mut session, 30, "<->", 10, "e.z BETWEEN 1.5 AND 1.504"));
    assert_eq!(found.len(), 10);
    assert_eq!(similar(&mut session, "30, z_min => 1.5, z_max => 1.50067").len(), 3);
    assert_eq!(similar(&mut session, "30, z_min => 7").len(), 0);
    let endless = similar(&mut session, "30, z_min => '-Infinity', z_max => 'Infinity'");
    assert_eq!(endless, similar(&mut session, "30"));
    assert_eq!(similar(&mut session, "30, z_min => 'Infinity'").len(), 0);
    // Settings of the session are as they were.
    let settings = "SELECT current_setting('enable_indexscan') || current_setting('hnsw.iterative_scan')";
    assert_eq!(session.value(settings), "onoff");
}

#[test]
fn what_cannot_be_answered_is_told_with_its_reason() {
    let Some(database) = filled() else { return };
    let mut session = database.session();
    for (arguments, said) in [
        ("999999", "P0002: ERROR: no target 999999"),
        ("1, unit_prefix => 'zz'", "P0002: ERROR: no target 1 in units zz..."),
        ("5000", "P0002: ERROR: target 5000 has no vector (a: coverage)"),
        ("6000", "P0002: ERROR: target 6000 was not embedded (a: spectype STAR)"),
        ("1, 'galaxy-pca'", "P0002: ERROR: no model galaxy-pca"),
        ("1, k => 0", "22023: ERROR: k must be 1 to 10000"),
        ("1, metric => 'dot'", "22023: ERROR: metric must be l2 or cosine"),
    ] {
        let refused = session.refused(&format!("SELECT * FROM ml.similar({arguments})"));
        assert!(refused.starts_with(said), "{arguments}: {refused}");
    }
    add_model(&mut session, OTHER, "qso-other");
    session.run(&format!(
        "INSERT INTO ml.embeddings (model_hash, unit, targetid, \"row\", state, z, good_pixel_fraction, n_good_pixels, embedding) \
         SELECT '{OTHER}', unit, targetid, \"row\", state, z, 1, 1, embedding FROM ml.embeddings WHERE targetid = 1"
    ));
    let refused = session.refused("SELECT * FROM ml.similar(1)");
    assert!(refused.contains("vectors under several models: name one of qso-other (1111"), "{refused}");
    assert_eq!(similar(&mut session, "1, 'qso-other'").len(), 1);
    assert_eq!(similar(&mut session, &format!("1, '{HASH}', k => 3")).len(), 3);
}
