//! `db index` and questions to catalogues: keys that are what they are declared to be, cones that miss nothing.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch};

use super::shelf::{ROWS, Shelf, things, unit};
use crate::database::TestDatabase;

const INDEXES: &str =
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname IN ('catalog', 'catalog_raw') ORDER BY 1";

#[test]
fn tables_with_rows_get_their_indexes_once() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    let mut session = database.session();
    shelf.call(&database.url(), &["db", "index"], 0);
    assert_eq!(session.rows(INDEXES), Vec::<Vec<String>>::new(), "no table holds a row");
    shelf.call(&database.url(), &["db", "load"], 0);
    let first = shelf.call(&database.url(), &["db", "index"], 0);
    let built = "things_key, things_unit, things_healpix29, things_targetid built";
    assert!(first.stdout.contains("catalog.things") && first.stdout.contains(built), "{}", first.stdout);
    let names: Vec<String> = session.rows(INDEXES).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(names, ["extra_unit", "things_healpix29", "things_key", "things_targetid", "things_unit"]);
    let key = session.value("SELECT indexdef FROM pg_indexes WHERE indexname = 'things_key'");
    assert!(key.starts_with("CREATE UNIQUE INDEX") && key.ends_with("(specprod, targetid, survey)"), "{key}");
    let statistics = "SELECT reltuples FROM pg_class WHERE oid = 'catalog.things'::regclass";
    assert_eq!(session.value(statistics), (3 * ROWS).to_string());
    let oids = "SELECT string_agg(indexrelid::text, ' ' ORDER BY indexrelid) FROM pg_index \
                WHERE indrelid IN ('catalog.things'::regclass, 'catalog_raw.extra'::regclass)";
    let before = session.value(oids);
    let second = shelf.call(&database.url(), &["db", "index"], 0);
    assert!(
        second.stdout.contains("4 stand") && !second.stdout.contains("things_key built"),
        "{}",
        second.stdout
    );
    assert_eq!(session.value(oids), before);
    // One built otherwise is replaced.
    session.run("DROP INDEX catalog.things_key; CREATE INDEX things_key ON catalog.things (targetid)");
    shelf.call(&database.url(), &["db", "index"], 0);
    assert_eq!(session.value("SELECT indexdef FROM pg_indexes WHERE indexname = 'things_key'"), key);
    // A unit's rows are found by the index when they go.
    session.run("SET enable_seqscan = off");
    let plan = session.rows("EXPLAIN DELETE FROM catalog.things WHERE unit = 'catalog/things/things-iron/1'");
    assert!(plan.iter().any(|line| line[0].contains("things_unit")), "{plan:?}");
}

/// The rows, with the first key once more at the end.
fn repeating(rows: &RecordBatch, key: i64) -> RecordBatch {
    let at = rows.schema().index_of("targetid").unwrap();
    let mut columns = rows.columns().to_vec();
    let keys: Int64Array = (0..ROWS)
        .zip(1_000_000..)
        .map(|(row, other)| Some(if row == ROWS - 2 { key } else { other }))
        .collect();
    columns[at] = Arc::new(keys);
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

#[test]
fn a_key_that_repeats_is_named_with_its_rows_and_other_indexes_are_made() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    let second = unit("things", "things-iron", 2);
    // Row 0 of block 0 has TARGETID -40 in survey main; row 298 has survey main too.
    shelf.put(&second, &repeating(&things(&second, 3), -40));
    shelf.load(&database.url());
    let refused = shelf.call(&database.url(), &["db", "index"], 5);
    let said = "catalog.things has more than one row of the same specprod, targetid, survey: (iron, -40, main) is the key of \
                catalog/things/things-iron/0 row 0 and catalog/things/things-iron/2 row 898";
    assert!(refused.stderr.contains(said) && refused.stderr.contains("help: take one"), "{}", refused.stderr);
    let mut session = database.session();
    let names: Vec<String> = session.rows(INDEXES).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(names, ["extra_unit", "things_healpix29", "things_targetid", "things_unit"]);
    // Mended, the unit is replaced and the key made; from then on the table itself refuses repeated keys.
    shelf.put(&second, &things(&second, 3));
    shelf.call(&database.url(), &["db", "load"], 0);
    shelf.call(&database.url(), &["db", "index"], 0);
    shelf.put(&second, &repeating(&things(&second, 3), -40));
    shelf.call(&database.url(), &["db", "load"], 5);
    let reason = shelf.reason(&second);
    assert!(reason.contains("duplicate key") && reason.contains("(iron, -40, main)"), "{reason}");
    assert_eq!(session.value("SELECT count(*) FROM catalog.things"), (3 * ROWS).to_string());
}

#[test]
fn a_cone_finds_what_a_search_of_every_row_finds() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    let unit = unit("things", "things-iron", 0);
    let rows = things(&unit, 8);
    // A cap around each pole, the meridian and a field; every tenth row has no position.
    let turn = |row: usize| row as f64 / ROWS as f64;
    let place = |row: usize| match row % 4 {
        0 => (360.0 * turn(row), 89.5 + 0.5 * turn(row)),
        1 => (360.0 * turn(row), -89.5 - 0.5 * turn(row)),
        2 => ((359.8 + 0.4 * turn(row)) % 360.0, turn(row) - 0.5),
        _ => (150.0 + turn(row), 2.0 + 0.7 * turn(row) * turn(row)),
    };
    let (ra, dec): (Vec<_>, Vec<_>) = (0..ROWS)
        .map(|row| if row % 10 == 9 { (None, None) } else { (Some(place(row).0), Some(place(row).1)) })
        .unzip();
    let mut columns = rows.columns().to_vec();
    let mut put = |name: &str, values| columns[rows.schema().index_of(name).unwrap()] = values;
    put("ra", Arc::new(Float64Array::from(ra)));
    put("dec", Arc::new(Float64Array::from(dec)));
    shelf.put(&unit, &RecordBatch::try_new(rows.schema(), columns).unwrap());
    shelf.load(&database.url());
    let mut session = database.session();
    session.run("UPDATE catalog.things SET healpix29 = catalog.healpix29(ra, \"dec\")");
    for indexed in [false, true] {
        if indexed {
            shelf.call(&database.url(), &["db", "index"], 0);
        }
        let mut all = 0;
        for (ra, dec, radius) in [
            (0.0, 90.0, 0.3),
            (77.0, -89.8, 0.4),
            (0.0, 0.0, 0.25),
            (359.9, 0.1, 0.2),
            (150.5, 2.2, 0.3),
            (150.2, 2.0, 1e-7),
            (10.0, 20.0, 180.0),
            (200.0, -30.0, 5.0),
        ] {
            let cone = format!(
                "SELECT (c.found).\"row\", c.distance FROM catalog.cone_things({ra}, {dec}, {radius}) c ORDER BY 1"
            );
            let brute = format!(
                "SELECT \"row\", catalog.angular_distance({ra}, {dec}, ra, \"dec\") FROM catalog.things \
                 WHERE catalog.angular_distance({ra}, {dec}, ra, \"dec\") <= {radius} ORDER BY 1"
            );
            let found = session.rows(&cone);
            assert_eq!(found, session.rows(&brute), "({ra}, {dec}) within {radius}");
            all += found.len();
        }
        assert!(all > ROWS, "{all}");
    }
}
