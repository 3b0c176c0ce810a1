//! Loaders killed at any moment: the database holds the old or the new state of each unit, never one between.

use std::process::Stdio;
use std::time::Duration;

use super::lake::{Lake, dump};
use super::{Session, TestDatabase};

/// Every table's rows by unit, and what `ops.load` says of them.
const DISAGREEING: &str = "SELECT coalesce(l.unit, r.unit), l.rows, r.rows FROM \
     (SELECT dataset, model_hash, unit, rows FROM ops.load WHERE dataset IN ('spectra.features', 'ml.embeddings')) l \
     FULL JOIN (SELECT 'spectra.features' AS dataset, '' AS model_hash, unit, count(*) AS rows \
         FROM spectra.features GROUP BY unit \
       UNION ALL SELECT 'ml.embeddings', model_hash, unit, count(*) FROM ml.embeddings GROUP BY model_hash, unit) r \
     USING (dataset, model_hash, unit) WHERE l.rows IS DISTINCT FROM r.rows";
/// The same for the results of whole models.
const HALF_A_MODEL: &str = "SELECT l.dataset, l.model_hash FROM ops.load l LEFT JOIN \
     (SELECT 'ml.neighbors' AS dataset, model_hash, count(*) AS rows FROM ml.neighbors GROUP BY model_hash \
      UNION ALL SELECT 'ml.scores', model_hash, count(*) FROM ml.scores GROUP BY model_hash \
      UNION ALL SELECT 'ml.models', model_hash, 1 FROM ml.models) r USING (dataset, model_hash) \
     WHERE l.dataset IN ('ml.neighbors', 'ml.scores', 'ml.models') AND l.rows IS DISTINCT FROM r.rows";

fn assert_whole(session: &mut Session) {
    assert_eq!(session.rows(DISAGREEING), Vec::<Vec<String>>::new());
    assert_eq!(session.rows(HALF_A_MODEL), Vec::<Vec<String>>::new());
}

/// How often to kill: `SPECMILL_KILLS`, or a few.
#[expect(clippy::disallowed_methods, reason = "what a test is asked for has no run file")]
fn kills() -> u64 {
    std::env::var("SPECMILL_KILLS").map_or(6, |text| text.parse().expect("SPECMILL_KILLS is a number"))
}

#[test]
fn killed_loaders_leave_whole_units_and_one_clean_run_the_whole() {
    let (Some(database), Some(alone)) = (TestDatabase::migrated(), TestDatabase::migrated()) else { return };
    // Two states of the same units take turns, so that there is always something to replace.
    let lakes = [Lake::new(), Lake::other()];
    Lake::new().load(&alone.url(), 0);
    let mut session = database.session();
    let mut killed = 0;
    let mut seed = 12_345_u64;
    for round in 0..kills() {
        let lake = if round % 2 == 0 { &lakes[1] } else { &lakes[0] };
        let mut command = lake.command(&database.url(), &["db", "load"]);
        let mut loader = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Knuth's MMIX generator: from before the first connection to after the last commit.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(10 + (seed >> 33) % 400));
        loader.kill().unwrap();
        killed += u64::from(!loader.wait().unwrap().success());
        assert_whole(&mut session);
    }
    assert!(2 * killed >= kills(), "{killed} of {} loaders were still at work", kills());
    lakes[0].load(&database.url(), 0);
    assert_whole(&mut session);
    assert_eq!(dump(&mut session), dump(&mut alone.session()));
}
