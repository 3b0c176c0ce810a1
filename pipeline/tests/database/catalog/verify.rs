//! A catalogue from its file to the database, and `catalog verify` between all three.

use crate::catalog::run::{CatalogRun, Said, toy_columns, toy_file};
use crate::database::TestDatabase;
use crate::fits_bytes::TestColumn;

fn call(run: &CatalogRun, database: &TestDatabase, words: &[&str], code: i32) -> Said {
    let output = run.command(words).env("DATABASE_URL", database.url()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let said =
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    assert_eq!(said.code, code, "{words:?}: {}{}", said.out, said.err);
    said
}

/// `catalog verify --database`, which must end with `code`.
fn verify(run: &CatalogRun, database: &TestDatabase, code: i32) -> String {
    call(run, database, &["catalog", "verify", "--database"], code).out
}

fn lines(text: &str, of: &str) -> Vec<String> {
    let (_, stored) = text.split_once("Parquet = database").expect("the database's half");
    stored.lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect()
}

#[test]
fn a_catalogue_is_the_same_in_file_lake_and_database_and_every_difference_is_named() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut columns = toy_columns(&[5, -6, 7, 1 << 60]);
    columns.push(TestColumn::f64("RADIUS", &[1.0, f64::NAN, 3.0, 1e-9]));
    columns.push(TestColumn::f32("MASS", &[-1.0, 0.5, 0.25, 1e30]));
    let bytes = toy_file(&columns);
    let mut run = CatalogRun::new();
    run.toy(&bytes);
    run.file("extra.fits", &bytes);
    run.catalog("raw = \"extra\"", &["extra.fits"]);
    run.run(0);
    call(&run, &database, &["db", "migrate"], 0);
    let before = verify(&run, &database, 3);
    assert!(before.contains("catalog/toy/toy-iron-main/0: it is not loaded"), "{before}");
    call(&run, &database, &["db", "load"], 0);
    call(&run, &database, &["db", "index"], 0);
    let said = verify(&run, &database, 0);
    let found = lines(&said, "catalog");
    assert_eq!(found.len(), 2, "{said}");
    assert!(found.iter().all(|line| line.ends_with("  yes")), "{said}");
    let mut session = database.session();
    for (change, expected) in [
        ("UPDATE catalog.toy SET targetid = 8 WHERE targetid = 7", "column targetid: "),
        ("UPDATE catalog.toy SET flux = flux * 1.001 WHERE targetid = 5", "column flux: its sum is "),
        ("UPDATE catalog.toy SET mass = NULL WHERE targetid = 7", "column mass: 2 values, not 3"),
        (
            "UPDATE catalog.toy SET survey = 'sv1' WHERE targetid = 5",
            "column survey: its texts have 15 bytes",
        ),
        ("DELETE FROM catalog.toy WHERE targetid = 5", "3 rows, not 4"),
        (
            "UPDATE catalog_raw.extra SET radius = 0 WHERE radius = 'NaN'",
            "column radius: 0 NaN or infinite, not 1",
        ),
        (
            "INSERT INTO catalog_raw.extra SELECT 'other', t.\"row\" FROM catalog_raw.extra t LIMIT 1",
            "its units come to 4 rows",
        ),
        (
            "INSERT INTO ops.load SELECT dataset, model_hash, 'catalog/toy/old/0', sha256, stage_hash, 0 FROM ops.load \
             WHERE dataset = 'catalog.toy'",
            "catalog/toy/old/0: the database has it, and the lake of this run file has not",
        ),
    ] {
        session.run("BEGIN");
        session.run(change);
        session.run("COMMIT");
        let said = verify(&run, &database, 3);
        assert!(lines(&said, "catalog").iter().any(|line| line.contains(expected)), "{change}: {said}");
        // Back as it was: what is loaded is not believed any more.
        session.run("DELETE FROM catalog.toy; DELETE FROM catalog_raw.extra; DELETE FROM ops.load");
        call(&run, &database, &["db", "load"], 0);
        verify(&run, &database, 0);
    }
}
