//! `db migrate`: the tables of catalogues follow their declarations, and no row of another shape is left in them.

use super::shelf::{Shelf, unit};
use crate::database::TestDatabase;

#[test]
fn the_tables_of_catalogues_are_made_once_as_declared() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    let first = shelf.call(&database.url(), &["db", "migrate"], 0);
    assert!(first.stdout.contains("made catalog.things, catalog_raw.extra"), "{}", first.stdout);
    let mut session = database.session();
    let recorded = "SELECT t::text FROM ops.catalog t ORDER BY name";
    let before = session.rows(recorded);
    let second = shelf.call(&database.url(), &["db", "migrate"], 0);
    assert!(second.stdout.contains("nothing to do"), "{}", second.stdout);
    assert_eq!(session.rows(recorded), before);
    // The server's own words.
    let columns = "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum) \
                   FROM pg_attribute a WHERE a.attrelid = 'catalog.things'::regclass AND a.attnum > 0 ORDER BY a.attnum";
    let found = session.rows(columns);
    assert_eq!(found.len(), 16);
    for (name, kind, required, comment) in [
        ("unit", "text", "t", "unit of work the row belongs to [ucd: meta.id.part]"),
        ("targetid", "bigint", "t", "target [ucd: meta.id;meta.main] [source: THINGS]"),
        ("survey", "text", "t", "survey, or so it's said [source: THINGS]"),
        ("ra", "double precision", "f", "right ascension [unit: deg] [ucd: pos.eq.ra] [source: THINGS]"),
        ("code", "smallint", "f", "which [source: THINGS] [codes: 0 = none, 1 = some]"),
        ("mass", "double precision[]", "f", "masses [unit: solMass] [source: THINGS] [h: 0.7]"),
        ("names", "text[]", "f", "what it is called [source: THINGS]"),
        (
            "healpix29",
            "bigint",
            "f",
            "nested HEALPix pixel of the position at order 29 [ucd: pos.healpix] [source: Gorski et al. 2005]",
        ),
    ] {
        assert!(
            found.contains(&[name, kind, required, comment].map(str::to_owned).to_vec()),
            "{name}: {found:?}"
        );
    }
    assert_eq!(session.value("SELECT obj_description('catalog.things'::regclass)"), "One thing's row.");
    assert_eq!(
        session
            .value("SELECT declaration LIKE '%nobody 2026%' FROM ops.catalog WHERE name = 'catalog.things'"),
        "t"
    );
    let raw = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'catalog_raw.extra'::regclass AND attnum > 0 AND attnotnull";
    assert_eq!(session.value(raw), "0");
}

#[test]
fn a_column_more_and_other_words_are_taken_over() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    shelf.redeclare(
        "description = \"bits\" },",
        "description = \"its bits\" },\n    { fits = \"NEW\", type = \"float32\", description = \"new\" },",
    );
    let outcome = shelf.call(&database.url(), &["db", "migrate"], 0);
    assert!(outcome.stdout.contains("changed catalog.things\n"), "{}", outcome.stdout);
    let mut session = database.session();
    assert_eq!(session.value("SELECT count(*) - count(new) FROM catalog.things"), "900");
    let comment = "SELECT col_description('catalog.things'::regclass, attnum) FROM pg_attribute \
                   WHERE attrelid = 'catalog.things'::regclass AND attname = ";
    assert_eq!(session.value(&format!("{comment}'mask'")), "its bits [source: THINGS]");
    assert_eq!(session.value(&format!("{comment}'new'")), "new [source: THINGS]");
    // What was loaded is settled; what is loaded again has to have the column.
    shelf.call(&database.url(), &["db", "load"], 0);
    session.run("UPDATE ops.load SET sha256 = 'old' WHERE unit = 'catalog/things/things-iron/1'");
    shelf.call(&database.url(), &["db", "load"], 3);
    let reason = shelf.reason(&unit("things", "things-iron", 1));
    assert!(
        reason.contains("it has no column `new`") && reason.contains("run the stage catalog again"),
        "{reason}"
    );
}

#[test]
fn a_column_of_another_type_or_unit_or_none_is_refused_where_rows_have_it() {
    for (from, to, said) in [
        ("\"int32\"", "\"int64\"", "column `mask` is integer and is declared as bigint"),
        ("fits = \"MASK\"", "fits = \"BITS\"", "column `mask` is not declared any more"),
        ("\"nmgy\"", "\"mJy\"", "column `flux` is in `nmgy`, declared in `mJy`"),
        (
            "{ fits = \"MASK\", type = \"int32\"",
            "{ fits = \"WHEN\", type = \"int32\", required = true, description = \"when\" },\n{ fits = \"MASK\", type = \"int32\"",
            "column `when` is required and none of its rows has it",
        ),
    ] {
        let Some(database) = TestDatabase::migrated() else { return };
        let shelf = Shelf::new();
        shelf.load(&database.url());
        shelf.redeclare(from, to);
        let refused = shelf.call(&database.url(), &["db", "migrate"], 2);
        assert!(
            refused.stderr.contains("catalog.things") && refused.stderr.contains(said),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("help: undo that") && refused.stderr.contains("DROP TABLE"),
            "{}",
            refused.stderr
        );
        // The way out: what was loaded into the old table is not taken for loaded.
        let mut session = database.session();
        session.run("DROP TABLE catalog.things CASCADE");
        shelf.call(&database.url(), &["db", "migrate"], 0);
        assert_eq!(session.value("SELECT count(*) FROM ops.load WHERE dataset = 'catalog.things'"), "0");
    }
}

#[test]
fn a_table_without_rows_is_made_anew() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.call(&database.url(), &["db", "migrate"], 0);
    // What somebody else has made of it is not taken away.
    database.session().run("CREATE VIEW ard.of_things AS SELECT mask FROM catalog.things");
    shelf.redeclare("\"int32\"", "\"int64\"");
    let refused = shelf.call(&database.url(), &["db", "migrate"], 5);
    assert!(refused.stderr.contains("view ard.of_things depends on"), "{}", refused.stderr);
    database.session().run("DROP VIEW ard.of_things");
    let outcome = shelf.call(&database.url(), &["db", "migrate"], 0);
    assert!(outcome.stdout.contains("changed catalog.things\n"), "{}", outcome.stdout);
    let kind = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
                WHERE attrelid = 'catalog.things'::regclass AND attname = 'mask'";
    assert_eq!(database.session().value(kind), "bigint");
    assert_eq!(database.session().value("SELECT count(*) FROM catalog.cone_things(1, 1, 1)"), "0");
}

#[test]
fn two_declarations_of_one_table_are_refused() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.redeclare("name = \"things\"", "name = \"zpix\"");
    let refused = shelf.call(&database.url(), &["db", "migrate"], 2);
    assert!(refused.stderr.contains("declare the table"), "{}", refused.stderr);
    assert!(refused.stderr.contains("zpix"), "{}", refused.stderr);
}

#[test]
fn tables_that_other_hands_have_altered_are_told() {
    let Some(database) = TestDatabase::migrated() else { return };
    let shelf = Shelf::new();
    shelf.load(&database.url());
    let mut session = database.session();
    session.run(
        "ALTER TABLE catalog.things DROP COLUMN mask, ADD COLUMN mine integer; \
         COMMENT ON COLUMN catalog_raw.extra.z IS 'redshift'",
    );
    let check = shelf.call(&database.url(), &["db", "check"], 2);
    for said in [
        "catalog.things.mask is missing",
        "catalog.things.mine is not known",
        "catalog_raw.extra.z is double precision",
    ] {
        assert!(check.stderr.contains(said), "{}", check.stderr);
    }
}

#[test]
fn views_are_made_once_and_again_when_one_is_gone() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    assert_eq!(session.value("SELECT count(*) FROM ard.galaxy_ard"), "0");
    let again = database.specmill(&["db", "migrate"]);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    session.run("DROP VIEW ard.qso_ard");
    let again = database.specmill(&["db", "migrate"]);
    assert!(again.code == 0 && again.stdout.contains("made views "), "{}{}", again.stdout, again.stderr);
    assert_eq!(session.value("SELECT count(*) FROM ard.qso_ard"), "0");
}
