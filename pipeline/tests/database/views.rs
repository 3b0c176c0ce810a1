//! Views of several tables: what they say of rows made by hand.

use specmill_schemas::joins::{also_unique, create_views, drop_views, joins};
use tempfile::TempDir;

use super::{Session, TestDatabase, bare_command, finish};
use crate::run_folder::read_table;

/// Makes the indexes that views rely on; their tables and the views themselves are there since the migration.
pub(crate) fn make_indexes(session: &mut Session) {
    for (table, columns) in also_unique() {
        let (last, all) = (columns.last().unwrap(), columns.join(", "));
        session.run(&format!("CREATE UNIQUE INDEX {table}_one_{last} ON catalog.{table} ({all})"));
    }
}

/// A database with views over empty tables.
fn with_views() -> Option<TestDatabase> {
    let database = TestDatabase::migrated()?;
    make_indexes(&mut database.session());
    Some(database)
}

/// A row of catalog.zpix: its number is its TARGETID.
fn zpix(row: usize, survey: &str, bits: &str, z: &str, zwarn: &str, deltachi2: &str) -> String {
    let column =
        if survey.starts_with("sv") { format!("{survey}_desi_target") } else { "desi_target".to_owned() };
    format!(
        "INSERT INTO catalog.zpix (unit, row, specprod, targetid, survey, program, healpix, {column}, z, zwarn, deltachi2) \
         VALUES ('u', {row}, 'iron', {row}, '{survey}', 'dark', 5, {bits}, {z}, {zwarn}, {deltachi2});"
    )
}

fn emline(row: usize, survey: &str, flux: &str, ivar: &str) -> String {
    format!(
        "INSERT INTO catalog.emline (unit, row, specprod, targetid, survey, program, healpix, oii_flux, oii_flux_ivar) \
         VALUES ('u', {row}, 'iron', {row}, '{survey}', 'dark', 5, {flux}, {ivar});"
    )
}

const BGS: &str = "1152921504606846976";

#[test]
fn good_redshifts_follow_the_rule_of_each_class() {
    let Some(database) = with_views() else { return };
    let mut session = database.session();
    // Survey, class bits, z, ZWARN, deltachi2; what bgs, lrg, elg, qso and all together say.
    let rows: [([&str; 5], [&str; 5]); 18] = [
        (["main", BGS, "0.2", "0", "40.1"], ["t", "", "", "", "t"]),
        (["main", BGS, "0.2", "0", "40"], ["f", "", "", "", "f"]),
        (["main", BGS, "0.2", "4", "1000"], ["f", "", "", "", "f"]),
        (["main", BGS, "0.2", "NULL", "1000"], ["", "", "", "", ""]),
        (["main", BGS, "0.2", "NULL", "3"], ["f", "", "", "", "f"]),
        (["main", "1", "1.4", "0", "15.1"], ["", "t", "", "", "t"]),
        (["main", "1", "1.5", "0", "15.1"], ["", "f", "", "", "f"]),
        (["special", "1", "1.4", "0", "15"], ["", "f", "", "", "f"]),
        (["sv1", "1", "1.4", "0", "16"], ["", "t", "", "", "t"]),
        (["cmx", "1", "1.4", "0", "16"], ["", "", "", "", ""]),
        // No class, or none known: nothing to say.
        (["main", "0", "1.4", "0", "1000"], ["", "", "", "", ""]),
        (["main", "NULL", "1.4", "0", "1000"], ["", "", "", "", ""]),
        // [OII] with S/N 10 and 1, and without a measurement.
        (["main", "2", "1.2", "4", "1"], ["", "", "t", "", "t"]),
        (["main", "2", "1.2", "0", "1000"], ["", "", "f", "", "f"]),
        (["main", "2", "1.2", "0", "1000"], ["", "", "", "", ""]),
        // An LRG and QSO target: the one says yes, the other that it is not in the catalogue.
        (["main", "5", "1.2", "0", "1000"], ["", "t", "", "f", "t"]),
        // In the QSO catalogue, and a quasar target of a program without one.
        (["main", "4", "2.5", "4", "3"], ["", "", "", "t", "t"]),
        (["sv3", "4", "2.5", "0", "1000"], ["", "", "", "", ""]),
    ];
    for (row, ([survey, bits, z, zwarn, deltachi2], _)) in rows.iter().enumerate() {
        session.run(&zpix(row, survey, bits, z, zwarn, deltachi2));
    }
    session.run(&emline(12, "main", "2", "25"));
    session.run(&emline(13, "main", "1", "1"));
    session.run(&emline(14, "main", "NULL", "0"));
    session.run(
        "INSERT INTO catalog.qso (unit, row, specprod, targetid, survey, program, z) \
         VALUES ('u', 0, 'iron', 16, 'main', 'dark', 2.75)",
    );
    let found = session.rows(
        "SELECT row, good_z_bgs, good_z_lrg, good_z_elg, good_z_qso, good_z, qso_z FROM catalog.zpix_quality ORDER BY row",
    );
    assert_eq!(found.len(), rows.len());
    for (found, (at, (_, expected))) in found.iter().zip(rows.iter().enumerate()) {
        assert_eq!(found[1..6], expected[..], "row {at}: {:?}", rows[at]);
        assert_eq!(found[6], if at == 16 { "2.75" } else { "" });
    }
    // Without any QSO catalogue nothing is known, and nothing false.
    session.run("DELETE FROM catalog.qso");
    let query = "SELECT count(good_z_qso), count(*) FILTER (WHERE is_qso) FROM catalog.zpix_quality";
    assert_eq!(session.rows(query), [["0", "3"]]);
    // Bit by bit.
    session.run(&zpix(99, "main", "0", "1", "2561", "3"));
    let set = session.value(
        "SELECT string_agg(key, ' ' ORDER BY key) FROM catalog.zpix_quality q, jsonb_each_text(to_jsonb(q)) \
         WHERE row = 99 AND key LIKE 'zwarn\\_%' AND value = 'true'",
    );
    assert_eq!(set, "zwarn_nodata zwarn_poordata zwarn_sky");
}

#[test]
fn the_rule_of_emission_lines_is_that_of_its_logarithms() {
    let Some(database) = with_views() else { return };
    let mut session = database.session();
    let (mut statements, mut expected) = (String::new(), Vec::new());
    for (i, flux) in [1e-3_f32, 0.4, 1.0, 3.7, 55.0].into_iter().enumerate() {
        for (j, ivar) in [1e-4_f32, 0.3, 4.0, 900.0].into_iter().enumerate() {
            for (k, deltachi2) in [1e-3_f64, 0.9, 25.0, 31_622.0, 1e6].into_iter().enumerate() {
                let row = (i * 4 + j) * 5 + k;
                statements.push_str(&zpix(row, "main", "2", "1", "0", &deltachi2.to_string()));
                statements.push_str(&emline(row, "main", &flux.to_string(), &ivar.to_string()));
                let snr = f64::from(flux) * f64::from(ivar).sqrt();
                let above = libm::log10(snr) + 0.2 * libm::log10(deltachi2) - 0.9;
                // Logarithms err in their last bits: none of these is as near as that.
                assert!(above.abs() > 1e-12);
                expected.push(if above > 0.0 { "t" } else { "f" });
            }
        }
    }
    // What has no logarithm, and what no server could raise to the fifth power.
    for (flux, ivar, deltachi2, is_good) in [
        ("-5", "100", "1000", "f"),
        ("0", "100", "1000", "f"),
        ("5", "100", "-1", "f"),
        ("5", "100", "0", "f"),
        ("3.4e38", "3.4e38", "1e99", "t"),
        ("3.4e38", "3.4e38", "1e-99", "t"),
        ("1.2e-38", "1.2e-38", "1e-99", "f"),
        ("5", "NULL", "1000", ""),
        ("5", "100", "NULL", ""),
    ] {
        let row = expected.len();
        statements.push_str(&zpix(row, "main", "2", "1", "0", deltachi2));
        statements.push_str(&emline(row, "main", flux, ivar));
        expected.push(is_good);
    }
    session.run(&statements);
    let found = session.rows("SELECT good_z_elg FROM catalog.zpix_quality ORDER BY row");
    assert_eq!(found.concat(), expected);
    assert!(expected.iter().filter(|good| **good == "t").count() > 20);
}

#[test]
fn groups_are_found_by_legacy_id_and_voids_by_target() {
    let Some(database) = with_views() else { return };
    let mut session = database.session();
    let feature = |targetid: i64, survey: &str| {
        format!(
            "INSERT INTO spectra.features (unit, targetid, row, state, specprod, survey, program, healpix, spectype, flags, \
             n_good_pixels, n_masked_pixels, n_bad_pixels, stage_hash, oii_3728_flux, oii_3728_flux_ivar) \
             VALUES ('u', {targetid}, 0, 'done', 'iron', {survey}, 'bright', 5, 'GALAXY', 0, 1, 0, 0, 'h', 7, 0.25);"
        )
    };
    // The second is of a tile that no table gives a survey: it joins nothing, and stays.
    session.run(&(feature(-7, "'main'") + &feature(8, "NULL")));
    session.run(
        "INSERT INTO catalog.zpix (unit, row, specprod, targetid, survey, program, healpix, release, brickid, brick_objid, \
         flux_r) VALUES ('u', 0, 'iron', -7, 'main', 'bright', 5, 9010, 330000, 77, 12.5)",
    );
    let ls_id: i64 = (9010 << 40) | (330_000 << 16) | 77;
    session.run(&format!(
        "INSERT INTO catalog.gfinder_galaxies (unit, row, specprod, igal, ls_id) VALUES ('u', 0, 'iron', 3, {ls_id});
         INSERT INTO catalog.gfinder_links (unit, row, specprod, igal, igrp, rank) VALUES ('u', 0, 'iron', 3, 41, 0);
         INSERT INTO catalog.gfinder_groups (unit, row, specprod, igrp, rich, grp_logm) VALUES ('u', 0, 'iron', 41, 6, 13.5);
         INSERT INTO catalog.v2_galzone (unit, row, specprod, sample, algorithm, cap, gal, targetid, zone, depth, edge, out) \
         VALUES ('u', 0, 'iron', 'DESIVAST_BGS_VOLLIM', 'VIDE', 'SGC', 0, -7, 12, 2, 0, 0), \
                ('u', 1, 'iron', 'DESIVAST_BGS_VOLLIM', 'REVOLVER', 'NGC', 0, -7, NULL, NULL, 1, 0);
         INSERT INTO catalog.v2_zonevoid (unit, row, specprod, sample, algorithm, cap, zone, void0, void1) \
         VALUES ('u', 0, 'iron', 'DESIVAST_BGS_VOLLIM', 'VIDE', 'SGC', 12, 4, 9), \
                ('u', 1, 'iron', 'DESIVAST_BGS_VOLLIM', 'VIDE', 'NGC', 12, 5, 5);
         INSERT INTO catalog.fastspec (unit, row, specprod, targetid, survey, program, healpix, oii_3726_flux, \
         oii_3726_flux_ivar, oii_3729_flux, oii_3729_flux_ivar) \
         VALUES ('u', 0, 'iron', -7, 'main', 'bright', 5, 1, 0.25, 2, 0.125)"
    ));
    let found = session.rows(
        "SELECT targetid, flux_r, ls_id, group_id, group_rank, group_rich, group_logm, vide_cap, vide_zone, vide_void0, \
         vide_void1, revolver_cap, revolver_zone, revolver_edge, revolver_void0, zobov_cap, oii_3728_pull \
         FROM ard.galaxy_ard ORDER BY targetid",
    );
    // (7 - 1 - 2) / sqrt(4 + 4 + 8) = 1
    let expected = [
        "-7",
        "12.5",
        &ls_id.to_string(),
        "41",
        "0",
        "6",
        "13.5",
        "SGC",
        "12",
        "4",
        "9",
        "NGC",
        "",
        "1",
        "",
        "",
        "1",
    ];
    assert_eq!(found[0], expected);
    assert_eq!(found[1][1..], [""; 16]);
    assert_eq!((found.len(), found[1][0].as_str()), (2, "8"));
    assert_eq!(session.value("SELECT count(*) FROM ard.qso_ard"), "0");
}

#[test]
fn views_say_what_their_columns_are_and_come_out_as_files() {
    let Some(database) = with_views() else { return };
    let mut session = database.session();
    // Made again over tables that are there.
    session.run(&(drop_views() + &create_views()));
    session.run(&zpix(0, "main", "1", "1", "0", "99"));
    let folder = TempDir::new().unwrap();
    for join in joins() {
        let silent = format!(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = '{}'::regclass AND col_description(attrelid, attnum) IS NULL",
            join.full_name()
        );
        assert_eq!(session.value(&silent), "0", "{}", join.name);
        let out = folder.path().join("view.parquet");
        let words = ["export", &join.full_name(), "--out", out.to_str().unwrap()];
        let outcome = finish(bare_command(folder.path(), &words).env("DATABASE_URL", database.url()));
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let found = read_table(&out);
        assert_eq!(found.num_rows(), usize::from(join.name == "zpix_quality"));
        for (field, (expected, _)) in found.schema().fields().iter().zip(&join.columns) {
            assert_eq!((field.name(), field.data_type()), (&expected.name, &expected.kind.arrow()));
            assert_eq!(field.metadata()["description"], expected.description);
        }
    }
}

#[test]
fn a_join_without_a_server_needs_its_name_and_the_program_built_for_it() {
    let folder = TempDir::new().unwrap();
    let call = |words: &[&str]| finish(&mut bare_command(folder.path(), words));
    let wrong = call(&["export", "--join", "galaxies", "--out", "x.parquet"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let is_built = cfg!(feature = "joins");
    let said = if is_built {
        "`galaxies` is not one of zpix_quality, galaxy_ard, qso_ard"
    } else {
        "--features joins"
    };
    assert!(wrong.stderr.contains(said), "{}", wrong.stderr);
    for words in [
        &["export", "--out", "x.parquet"][..],
        &["export", "ard.galaxy_ard", "--join", "galaxy_ard", "--out", "x.parquet"],
        &["export", "--join", "galaxy_ard", "--where", "z > 1", "--out", "x.parquet"],
    ] {
        let outcome = call(words);
        assert_eq!(outcome.code, 2, "{words:?}: {}", outcome.stderr);
    }
}
