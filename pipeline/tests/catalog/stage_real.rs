//! Genuine catalogues, and files in their layout, through the declarations that come along.

use specmill::ledger::State;

use super::run::CatalogRun;
use crate::real::real_data;

/// Runs one file; the unit of each table with its rows.
fn takes(settings: &str, relative: &str, units: &[(&str, u64)]) -> Option<CatalogRun> {
    let path = real_data(relative)?;
    let mut run = CatalogRun::new();
    run.catalog(settings, &[path.to_str().unwrap()]);
    run.run(0);
    for (unit, rows) in units {
        let row = run.account(unit);
        assert_eq!((row.state, row.rows_in), (State::Done, *rows), "{unit}");
        assert_eq!(run.rows(unit).num_rows() as u64, *rows, "{unit}");
    }
    let said = run.call(&["catalog", "verify"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(said.out.matches("  yes").count(), units.len(), "{}", said.out);
    Some(run)
}

/// The numbers that a sentence of notes counts.
fn counted(run: &CatalogRun, unit: &str, what: &str) -> u64 {
    let notes = run.account(unit).notes;
    let sentence = notes.iter().find_map(|note| note.strip_prefix(what)).unwrap_or_default();
    let count = |part: &str| part.rsplit(' ').next()?.parse::<u64>().ok();
    sentence.split(", ").filter_map(count).sum()
}

#[test]
fn the_quasar_catalogue_loses_no_row_and_every_nan_and_infinity_is_null_and_counted() {
    let unit = "catalog/qso_tile/QSO_cat_fuji_cumulative/0";
    let file = "catalogs/qso/QSO_cat_fuji_cumulative.fits";
    let Some(run) = takes("name = \"qso\"", file, &[(unit, 5314)]) else { return };
    assert_eq!(counted(&run, unit, "NULL for NaN: "), 7294);
    assert_eq!(counted(&run, unit, "NULL for an infinity: "), 42);
}

#[test]
fn the_bal_catalogue_is_taken() {
    let unit = "catalog/bal/baltestcat/0";
    takes("name = \"bal\"\nspecprod = \"fuji\"", "catalogs/qso/baltestcat.fits.gz", &[(unit, 2)]);
}

#[test]
fn a_redshift_catalogue_is_taken_by_its_name() {
    let unit = "catalog/zpix/zpix-sv3-dark/0";
    let run = takes("name = \"zall-pix\"\nspecprod = \"fuji\"", "made-here/zpix-sv3-dark.fits", &[(unit, 5)]);
    let Some(run) = run else { return };
    assert_eq!(crate::run_folder::text(&run.rows(unit), "survey"), ["sv3"; 5]);
}

#[test]
fn the_widest_table_is_taken_with_its_companions() {
    let unit = |table: &str| format!("catalog/{table}/fastspec-4-80613-thru20210324/0");
    let (metadata, specphot, fastspec) =
        (unit("fastspec_tile_metadata"), unit("fastspec_tile_specphot"), unit("fastspec_tile"));
    takes(
        "name = \"fastspecfit-tile\"\nspecprod = \"iron\"",
        "made-here/fastspec-4-80613-thru20210324.fits",
        &[(&metadata, 1), (&specphot, 1), (&fastspec, 1)],
    );
}

#[test]
fn void_catalogues_are_taken() {
    let settings = "name = \"desivast\"\nspecprod = \"sdss\"";
    for (file, tables) in [
        ("VoidFinder", vec![("voidfinder_maximals", 900), ("voidfinder_holes", 45_252)]),
        ("V2_REVOLVER", vec![("v2_voids", 530), ("v2_zonevoid", 730), ("v2_galzone", 120_606)]),
    ] {
        let name = format!("SDSSDR7_{file}_Output");
        let units: Vec<(String, u64)> =
            tables.iter().map(|(table, rows)| (format!("catalog/{table}/{name}/0"), *rows)).collect();
        let units: Vec<(&str, u64)> = units.iter().map(|(unit, rows)| (unit.as_str(), *rows)).collect();
        takes(settings, &format!("made-here/{name}.fits"), &units);
    }
}
