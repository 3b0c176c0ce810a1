//! `db index`: built once, found by the planner, as good as it says.

use super::TestDatabase;
use super::lake::Lake;
use crate::run_folder::Outcome;

/// Vectors in clusters, as spectra are, with their exact neighbours, under one model.
pub(super) struct Clusters {
    pub(super) database: TestDatabase,
    pub(super) lake: Lake,
}

pub(super) const MODEL: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(super) const UNIT: &str = "iron/healpix/main/dark/64/1";
const ROWS: usize = 2500;
const DIMENSION: usize = 8;

impl Clusters {
    /// `None` where there is no PostgreSQL.
    pub(super) fn new() -> Option<Self> {
        let database = TestDatabase::migrated()?;
        let mut session = database.session();
        session.run(&format!(
            "SELECT setseed(0.5); \
             INSERT INTO ml.models \
                 VALUES ('{MODEL}', 'clusters', 1, 'GALAXY', 'none', {DIMENSION}, 1, 3, 1, '', NULL, '{{}}', ''); \
             SELECT ml.open_model('{MODEL}', {DIMENSION}); \
             CREATE TEMP TABLE centre AS SELECT c, (SELECT array_agg(10 * random()) \
                 FROM generate_series(1, {DIMENSION}) WHERE c >= 0) AS at FROM generate_series(0, 49) c; \
             CREATE TEMP TABLE made AS SELECT i, (SELECT array_agg(x + random() + random() - 1) \
                 FROM unnest(at) x WHERE i > 0)::vector({DIMENSION}) AS v, 0.02 * c + random() AS z \
                 FROM generate_series(1, {ROWS}) i JOIN centre ON c = i % 50; \
             INSERT INTO spectra.features (unit, targetid, row, state, specprod, flags, n_good_pixels, \
                 n_masked_pixels, n_bad_pixels, stage_hash, z, zwarn, spectype) \
                 SELECT '{UNIT}', i, i, 'done', 'iron', 0, 1, 0, 0, '', z, i % 4, 'GALAXY' FROM made; \
             INSERT INTO ml.embeddings (model_hash, unit, targetid, row, state, z, good_pixel_fraction, \
                 n_good_pixels, embedding) SELECT '{MODEL}', '{UNIT}', i, i, 'done', z, 1, 1, v FROM made; \
             SELECT ml.prepare_replacement('neighbors', '{MODEL}'); \
             SELECT ml.attach_replacement('neighbors', '{MODEL}'); \
             INSERT INTO ml.neighbors SELECT '{MODEL}', m, '{UNIT}', i, rank, '{UNIT}', j, d, false, false FROM \
                 (SELECT m, a.i, b.i AS j, d::real, \
                     (row_number() OVER (PARTITION BY m, a.i ORDER BY d, b.i))::int2 AS rank \
                  FROM made a JOIN made b ON a.i <> b.i \
                  CROSS JOIN LATERAL (VALUES ('l2', a.v <-> b.v), ('cosine', a.v <=> b.v)) x(m, d) \
                  WHERE a.i % 5 = 0) n WHERE rank <= 16; \
             ANALYZE"
        ));
        let lake = Lake::new();
        lake.set("index.ef_search = [40, 100, 200]");
        lake.set("index.ef_construction = 200");
        Some(Self { database, lake })
    }

    /// `db index` with these settings.
    pub(super) fn index(&self, settings: &[&str]) -> Outcome {
        for line in settings {
            self.lake.set(line);
        }
        let outcome = self.lake.call(&self.database.url(), &["db", "index"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome
    }
}

/// Recall by metric and setting, as printed.
fn recalls(outcome: &Outcome) -> Vec<(String, u32, f64)> {
    let lines = outcome.stdout.lines().skip_while(|line| !line.contains("recall  queries")).skip(1);
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!((words[0], words[3]), ("clusters", "10"), "{line}");
            (words[1].to_owned(), words[2].parse().unwrap(), words[4].parse().unwrap())
        })
        .collect()
}

const STORED: &str = "SELECT v.metric, r.ef_search, r.recall, r.n_queries FROM ml.recall r \
                      JOIN ml.vector_index v USING (index_name) ORDER BY v.metric DESC, r.ef_search";
const FILES: &str = "SELECT relname, relfilenode FROM pg_class WHERE relname LIKE 'vectors%' ORDER BY 1";

#[test]
fn an_index_finds_the_exact_neighbours_and_says_so_in_the_database() {
    let Some(clusters) = Clusters::new() else { return };
    let outcome = clusters.index(&[]);
    let found = recalls(&outcome);
    let settings: Vec<(&str, u32)> = found.iter().map(|(metric, ef, _)| (metric.as_str(), *ef)).collect();
    let expected = ["l2", "cosine"].map(|metric| [40, 100, 200].map(|ef| (metric, ef))).concat();
    assert_eq!(settings, expected);
    for (metric, ef, recall) in &found {
        // Several processes build the graph, so that it is never twice the same; 200 candidates of 2,500 leave it no
        // room for misses, fewer do.
        let least = if *ef >= 200 { 0.99 } else { 0.95 };
        assert!(*recall >= least, "{metric} {ef}: {recall}");
    }
    let mut session = clusters.database.session();
    for (row, (metric, ef, recall)) in session.rows(STORED).iter().zip(&found) {
        assert_eq!((&row[0], &row[1], row[3].as_str()), (metric, &ef.to_string(), "500"));
        assert!((row[2].parse::<f64>().unwrap() - recall).abs() < 1e-4, "{row:?}");
    }
    let (stored, files) = (session.rows(STORED), session.rows(FILES));
    assert_eq!((stored.len(), files.len()), (6, 2));
    let sizes =
        "SELECT bool_and(bytes = pg_relation_size(('ml.' || index_name)::regclass)) FROM ml.vector_index";
    assert_eq!(session.value(sizes), "t");
    let analyzed = "SELECT count(*) FROM pg_stats WHERE schemaname = 'ml' AND attname = 'targetid'";
    assert_ne!(session.value(analyzed), "0");
    // Again: nothing to do.
    let again = clusters.index(&[]);
    assert_eq!(again.stdout.matches(" stands").count(), 2, "{}", again.stdout);
    assert_eq!(recalls(&again), found);
    assert_eq!((session.rows(STORED), session.rows(FILES)), (stored, files));
}

#[test]
fn recall_is_measured_anew_after_a_load_and_only_over_neighbours_that_are_known() {
    let Some(clusters) = Clusters::new() else { return };
    let mut session = clusters.database.session();
    session.run("DELETE FROM ml.neighbors WHERE rank > 4 OR targetid > 500");
    clusters.index(&["index.ef_search = [200]"]);
    let measured = "SELECT k, n_queries FROM ml.recall";
    assert_eq!(session.rows(measured), [["4", "100"], ["4", "100"]]);
    let loaded = |dataset: &str| {
        format!(
            "INSERT INTO ops.load VALUES ('{dataset}', '{MODEL}', 'model/clusters', '', '', 1) \
                 ON CONFLICT DO NOTHING"
        )
    };
    session.run("DELETE FROM ml.neighbors WHERE targetid > 250");
    clusters.index(&[]);
    assert_eq!(session.rows(measured), [["4", "100"], ["4", "100"]], "nothing was loaded");
    session.run(&loaded("ml.models"));
    clusters.index(&[]);
    assert_eq!(session.rows(measured), [["4", "100"], ["4", "100"]], "a card is no neighbour");
    session.run(&loaded("ml.neighbors"));
    session.run("DELETE FROM ml.neighbors WHERE rank > 3");
    clusters.index(&[]);
    assert_eq!(session.rows(measured), [["3", "50"], ["3", "50"]]);
}

#[test]
fn other_parameters_build_anew_and_every_kind_of_index_is_good() {
    let Some(clusters) = Clusters::new() else { return };
    clusters.index(&[]);
    let mut session = clusters.database.session();
    let files = session.rows(FILES);
    clusters.index(&["index.m = 8"]);
    let rebuilt = session.rows(FILES);
    assert_eq!(rebuilt.len(), 2);
    assert!(rebuilt.iter().zip(&files).all(|(new, old)| new[0] == old[0] && new[1] != old[1]), "{rebuilt:?}");
    assert_eq!(session.value("SELECT count(DISTINCT parameters ->> 'm') FROM ml.vector_index"), "1");
    let halves = clusters.index(&["index.precision = \"halfvec\""]);
    assert!(halves.stdout.contains("vectors_l2_halfvec_0011223344556677 built"), "{}", halves.stdout);
    // One index answers for the vectors of a model under a metric.
    assert_eq!(
        session.rows("SELECT index_name FROM ml.vector_index ORDER BY 1"),
        [["vectors_cosine_halfvec_0011223344556677"], ["vectors_l2_halfvec_0011223344556677"]]
    );
    assert_eq!(session.rows(FILES).len(), 2);
    assert!(recalls(&halves).iter().all(|(_, ef, recall)| *ef < 200 || *recall >= 0.98), "{}", halves.stdout);
    let Some(clusters) = Clusters::new() else { return };
    let lists = clusters.index(&["index.method = \"ivfflat\""]);
    // Ten lists, at most ten of them searched: the whole table.
    assert!(recalls(&lists).iter().all(|(_, _, recall)| *recall >= 0.999), "{}", lists.stdout);
    assert_eq!(
        clusters
            .database
            .session()
            .rows("SELECT DISTINCT method, parameters ->> 'lists' FROM ml.vector_index"),
        [["ivfflat", "10"]]
    );
}

#[test]
fn the_planner_takes_the_index_also_with_a_filter_on_redshift() {
    let Some(clusters) = Clusters::new() else { return };
    clusters.index(&[]);
    let mut session = clusters.database.session();
    let query =
        format!("(SELECT embedding FROM ml.embeddings WHERE targetid = 5 AND model_hash = '{MODEL}')");
    for filter in ["", "AND f.z BETWEEN 0.4 AND 0.9", "AND f.zwarn = 0 AND f.spectype = 'GALAXY'"] {
        session.run("SET hnsw.iterative_scan = strict_order");
        let plan = session.rows(&format!(
            "EXPLAIN SELECT e.targetid FROM ml.embeddings e JOIN spectra.features f USING (unit, targetid) \
             WHERE e.model_hash = '{MODEL}' AND e.embedding IS NOT NULL {filter} \
             ORDER BY e.embedding::vector({DIMENSION}) <-> {query}::vector({DIMENSION}) LIMIT 10"
        ));
        let plan = plan.concat().join("\n");
        assert!(plan.contains("Index Scan using vectors_l2_vector_0011223344556677"), "{filter}\n{plan}");
    }
    // The program itself says what it took.
    for filter in
        [&[][..], &["--where", "z between 0.4 and 0.9"], &["--where", "zwarn = 0 and spectype = 'GALAXY'"]]
    {
        let words = [&["similar", "--target", "5"], filter].concat();
        let outcome = clusters.lake.call(&clusters.database.url(), &words);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stdout.contains("by index vectors_l2_vector_0011223344556677"), "{}", outcome.stdout);
    }
}

#[test]
fn an_index_that_cannot_be_built_leaves_the_old_one() {
    let Some(clusters) = Clusters::new() else { return };
    clusters.index(&[]);
    let mut session = clusters.database.session();
    let (stored, files) = (session.rows(STORED), session.rows(FILES));
    // A build that outlives its allowance is cancelled in the middle.
    session.run(&format!("ALTER DATABASE {} SET statement_timeout = '20ms'", clusters.database.name));
    clusters.lake.set("index.m = 48");
    clusters.lake.set("index.ef_construction = 400");
    let outcome = clusters.lake.call(&clusters.database.url(), &["db", "index"]);
    assert_eq!(outcome.code, 5, "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains("statement timeout"), "{}", outcome.stderr);
    assert_eq!((session.rows(STORED), session.rows(FILES)), (stored, files));
}

#[test]
fn the_old_index_answers_while_the_new_one_is_built() {
    let Some(clusters) = Clusters::new() else { return };
    clusters.index(&["neighbors.metrics = [\"l2\"]"]);
    let lake = &clusters.lake;
    lake.set("index.m = 100");
    lake.set("index.ef_construction = 1000");
    let mut session = clusters.database.session();
    session.run("SET lock_timeout = '1ms'");
    let builds = "SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = \
                  'ml.embeddings_0011223344556677'::regclass";
    let url = clusters.database.url();
    let asked = std::thread::scope(|scope| {
        let building = scope.spawn(|| lake.call(&url, &["db", "index"]));
        let mut asked = 0;
        while !building.is_finished() {
            if session.value(builds) != "0" {
                session.run("SELECT FROM ml.embeddings LIMIT 1");
                asked += 1;
            }
        }
        assert_eq!(building.join().unwrap().code, 0);
        asked
    });
    assert!(asked > 0, "the build was not seen");
}

#[test]
fn only_the_owner_s_role_indexes() {
    let Some(clusters) = Clusters::new() else { return };
    let loader = clusters.database.login("specmill_loader");
    let outcome = clusters.lake.call(&clusters.database.url_as(&loader), &["db", "index"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("specmill_owner migrates and indexes"), "{}", outcome.stderr);
    let owner = clusters.database.login("specmill_owner");
    let outcome = clusters.lake.call(&clusters.database.url_as(&owner), &["db", "index"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
