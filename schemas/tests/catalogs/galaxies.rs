//! The catalogues of galaxies' physics and surroundings say what their files hold.

use std::collections::{BTreeMap, BTreeSet};

use specmill_schemas::catalogs::{Catalog, CatalogColumn, CatalogTable, Mark, Origin, catalogs};

const NAMES: [&str; 5] = ["agngal", "desivast", "fastspecfit", "fastspecfit-tile", "gfinder"];

fn catalog(name: &str) -> Catalog {
    catalogs().into_iter().find(|catalog| catalog.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn column<'t>(table: &'t CatalogTable, name: &str) -> &'t CatalogColumn {
    table.columns.iter().find(|column| column.field.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn tables() -> impl Iterator<Item = CatalogTable> {
    NAMES.into_iter().flat_map(|name| catalog(name).tables)
}

/// A column's names in the file.
fn fits(column: &CatalogColumn) -> Vec<&str> {
    match &column.origin {
        Origin::Columns(names) | Origin::ColumnsOr { columns: names, .. } => {
            names.iter().map(String::as_str).collect()
        }
        Origin::LegacyId(parts) => parts.iter().map(String::as_str).collect(),
    }
}

fn is_null_where_not_measured(column: &CatalogColumn) -> bool {
    !column.null_values.is_empty() || !column.null_texts.is_empty() || column.null_where_zero.is_some()
}

#[test]
fn fastspecfit_has_all_columns_of_its_merged_files_and_those_that_v2_alone_has() {
    let catalog = catalog("fastspecfit");
    let count = |table: &str, wanted: fn(&CatalogColumn) -> bool| {
        catalog.table(table).unwrap().columns.iter().filter(|column| wanted(column)).count()
    };
    // METADATA, SPECPHOT and FASTSPEC of v3.0 have 54, 127 and 887 columns in the main survey.
    let in_v3 = |column: &CatalogColumn| !column.field.description.contains("up to v2");
    let in_main = |column: &CatalogColumn| !column.field.description.contains("only files of cmx and sv");
    assert_eq!(count("fastspec_metadata", in_main), 54);
    assert_eq!(count("fastspec_metadata", |_| true), 54 + 13);
    assert_eq!(count("fastspec_specphot", in_v3), 127);
    assert_eq!(count("fastspec", in_v3), 887);
    // 44 limits of equivalent widths, 17 columns of each of three broad helium lines, 12 of the line groups.
    assert_eq!(count("fastspec", |_| true), 887 + 44 + 3 * 17 + 12);
    for table in &catalog.tables {
        assert_eq!(table.key, ["targetid", "survey", "program", "healpix"], "{}", table.name);
        for column in &table.columns {
            let of_one_version =
                ["up to v2", "from v3 on"].iter().any(|v| column.field.description.contains(v));
            assert!(!of_one_version || column.optional, "{}.{}", table.name, column.field.name);
        }
    }
}

#[test]
fn up_to_v2_the_quantities_of_specphot_are_in_fastspec() {
    let catalog = catalog("fastspecfit");
    assert_eq!(catalog.table("fastspec_specphot").unwrap().hdus, ["SPECPHOT", "FASTSPEC"]);
    assert_eq!(catalog.table("fastspec").unwrap().hdus, ["FASTSPEC"]);
    let release = |name: &str| catalog.releases.iter().find(|release| release.name == name).unwrap();
    assert!(release("iron v3.0").marks.contains(&Mark::Hdu("SPECPHOT".to_owned())));
    assert!(release("iron v2.1").marks.contains(&Mark::NoHdu("SPECPHOT".to_owned())));
    assert_eq!(release("iron v3.0").rows["fastspec-iron-main-bright-nside1-hp02.fits"], 1_358_627);
    assert_eq!(release("iron v2.1").rows["fastspec-iron.fits"], 17_995_820);
    assert_eq!(release("fuji v3.2").rows["fastspec-fuji.fits"], 1_397_603);
}

#[test]
fn a_release_that_is_not_taken_says_what_is_wrong_and_what_to_take() {
    let refused = |name: &str| -> Vec<String> {
        let releases = catalog(name).releases.into_iter();
        releases.filter_map(|release| Some((release.name, release.refuse?))).map(|(name, _)| name).collect()
    };
    assert_eq!(
        refused("fastspecfit"),
        ["tiles", "iron v1.0", "iron v2.0", "fuji v2.0", "fuji v3.0", "fuji v3.1"]
    );
    assert_eq!(refused("fastspecfit-tile"), ["pixels", "v3 perexp"]);
    for name in NAMES {
        for release in catalog(name).releases {
            let text = release.refuse.unwrap_or_default();
            let fits = text.is_empty() || text.contains(": take ") || text.contains(": fit ");
            assert!(fits, "{name} {}: {text}", release.name);
            assert!(!release.marks.is_empty(), "{name} {} has no mark", release.name);
        }
    }
}

#[test]
fn a_tile_has_the_columns_of_a_pixel_but_for_what_names_the_coadd() {
    let (tile, pixel) = (catalog("fastspecfit-tile"), catalog("fastspecfit"));
    for (at, table) in tile.tables.iter().enumerate() {
        let by_name = |table: &CatalogTable| -> BTreeMap<String, CatalogColumn> {
            table.columns.iter().map(|column| (column.field.name.clone(), column.clone())).collect()
        };
        let (mine, theirs) = (by_name(table), by_name(&pixel.tables[at]));
        assert_eq!(table.key, ["targetid", "tileid", "night"]);
        let only_mine: Vec<&String> = mine.keys().filter(|name| !theirs.contains_key(*name)).collect();
        assert_eq!(only_mine, ["fiber", "night", "tileid"], "{}", table.name);
        for (name, other) in &theirs {
            let Some(column) = mine.get(name) else {
                let named = ["healpix", "tileid_list"].contains(&name.as_str());
                assert!(named || other.field.description.contains("up to v2"), "{}.{name}", table.name);
                continue;
            };
            let parts = |column: &CatalogColumn| {
                (
                    column.field.kind,
                    column.field.unit.clone(),
                    column.field.ucd.clone(),
                    column.origin.clone(),
                )
            };
            assert_eq!(parts(column), parts(other), "{}.{name}", table.name);
            assert_eq!(column.null_values, other.null_values, "{}.{name}", table.name);
            assert_eq!(column.null_where_zero, other.null_where_zero, "{}.{name}", table.name);
            assert_eq!((&column.units, &column.h), (&other.units, &other.h), "{}.{name}", table.name);
        }
    }
}

#[test]
fn null_is_told_where_a_file_marks_what_it_lacks() {
    for table in tables() {
        let file: BTreeSet<&str> = table.columns.iter().flat_map(fits).collect();
        for column in &table.columns {
            let place = format!("{}.{}", table.name, column.field.name);
            let told = column.field.description.contains("NULL");
            assert!(told || !is_null_where_not_measured(column), "{place} does not say what NULL means");
            assert!(!told || is_null_where_not_measured(column) || column.optional, "{place} is never NULL");
            if let Some(other) = &column.null_where_zero {
                assert!(file.contains(other.as_str()), "{place} depends on {other}, which is no column");
            }
        }
    }
}

#[test]
fn what_is_no_measurement_is_null() {
    let fastspecfit = catalog("fastspecfit");
    let zero = |table: &str, name: &str| {
        let column = column(fastspecfit.table(table).unwrap(), name).clone();
        (column.null_values, column.null_where_zero.unwrap_or_default())
    };
    assert_eq!(zero("fastspec_specphot", "vdisp"), (vec![], "VDISP_IVAR".to_owned()));
    assert_eq!(zero("fastspec_specphot", "logmstar"), (vec![0.0], String::new()));
    // No star formation is a measurement.
    assert_eq!(zero("fastspec_specphot", "sfr"), (vec![], "LOGMSTAR".to_owned()));
    assert_eq!(zero("fastspec", "halpha_flux"), (vec![], "HALPHA_FLUX_IVAR".to_owned()));
    assert_eq!(zero("fastspec", "oii_3726_sigma"), (vec![0.0], String::new()));
    assert_eq!(zero("fastspec_metadata", "flux_w1"), (vec![], "FLUX_IVAR_W1".to_owned()));
    // An absolute magnitude of inverse variance 0 is a synthesised one.
    assert_eq!(zero("fastspec_specphot", "absmag01_sdss_r").1, "LOGMSTAR");
    // SUBTYPE is empty for most templates, and stays so.
    assert_eq!(column(fastspecfit.table("fastspec_metadata").unwrap(), "subtype").null_texts, [""; 0]);
    let desivast = catalog("desivast");
    for (table, name) in
        [("v2_zonevoid", "void0"), ("v2_zonevoid", "void1"), ("v2_galzone", "zone"), ("v2_galzone", "depth")]
    {
        assert_eq!(column(desivast.table(table).unwrap(), name).null_values, [-1.0], "{table}.{name}");
    }
}

#[test]
fn what_depends_on_the_hubble_constant_says_so() {
    for table in tables() {
        for column in &table.columns {
            let (name, unit) = (column.field.name.as_str(), column.field.unit.as_ref());
            let is_magnitude = name.starts_with("absmag") && !name.contains("_ivar");
            let is_luminosity = name.starts_with("logl") && !name.ends_with("_ivar") || name == "grp_logl";
            let is_mass = ["logmstar", "sfr", "sfr_ivar", "grp_logm"].contains(&name);
            let depends = is_magnitude || is_luminosity || is_mass || unit.contains("h-");
            let expected = depends.then(|| "1".to_owned());
            assert_eq!(column.h, expected, "{}.{name}", table.name);
        }
    }
}

#[test]
fn units_that_a_header_gets_wrong_are_taken_for_what_they_are() {
    let catalog = catalog("fastspecfit");
    let unit = |table: &str, name: &str| {
        let column = column(catalog.table(table).unwrap(), name).clone();
        (column.field.unit.into_owned(), column.units)
    };
    let one = |stated: &str| BTreeMap::from([(stated.to_owned(), 1.0)]);
    for (table, name, ours, stated) in [
        ("fastspec", "halpha_flux_limit", "10**-17 erg/(s cm2)", "erg s-1 cm-2"),
        ("fastspec_specphot", "logmstar", "log(solMass)", "solMass"),
        ("fastspec_specphot", "loglnu_1500", "log(10**28 erg s-1 Hz-1)", "10**-28 erg Hz-1 s-1"),
        (
            "fastspec_specphot",
            "fhalpha_cont_ivar",
            "10**34 s2 cm4 Angstrom2/erg2",
            "10**-17 erg Angstrom-1 s-1 cm-2",
        ),
    ] {
        assert_eq!(unit(table, name), (ours.to_owned(), one(stated)), "{table}.{name}");
    }
}

#[test]
fn the_names_of_void_files_say_which_voids_they_hold() {
    let catalog = catalog("desivast");
    let holds = |file: &str| -> Vec<(String, BTreeMap<String, String>)> {
        let tables = catalog.tables.iter();
        tables
            .filter_map(|table| Some((table.name.clone(), table.files.iter().find_map(|f| f.matches(file))?)))
            .collect()
    };
    let names = |file: &str| holds(file).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let v2 = "DESIVAST_BGS_VOLLIM_V2_REVOLVER_NGC.fits";
    assert_eq!(names(v2), ["v2_voids", "v2_zonevoid", "v2_galzone"]);
    assert_eq!(names("DESIVAST_BGS_VOLLIM_VoidFinder_SGC.fits"), ["voidfinder_maximals", "voidfinder_holes"]);
    assert_eq!(names("SDSSDR7_V2_REVOLVER_Output.fits"), names(v2));
    for (_, found) in holds(v2) {
        let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, [("algorithm", "REVOLVER"), ("cap", "NGC"), ("sample", "DESIVAST_BGS_VOLLIM")]);
    }
    let rows = &catalog.releases[0].rows;
    assert_eq!(rows["DESIVAST_BGS_VOLLIM_V2_VIDE_SGC.fits:v2_voids"], 220);
    assert_eq!(rows["DESIVAST_BGS_VOLLIM_VoidFinder_NGC.fits:voidfinder_holes"], 89_003);
}

#[test]
fn a_cartesian_z_is_not_called_like_a_redshift() {
    for table in catalog("desivast").tables {
        assert!(table.columns.iter().all(|column| column.field.name != "z"), "{}", table.name);
        for column in table.columns.iter().filter(|column| fits(column) == ["Z"]) {
            assert_eq!((column.field.name.as_str(), column.field.unit.as_ref()), ("z_cart", "Mpc h-1"));
        }
    }
    let voids = catalog("desivast").table("v2_voids").unwrap().clone();
    assert_eq!(fits(column(&voids, "redshift")), ["REDSHIFT"]);
    assert_eq!(fits(column(catalog("desivast").table("v2_galzone").unwrap(), "targetid")), ["TARGET"]);
}

#[test]
fn a_group_is_found_by_the_packed_identifier_of_the_imaging() {
    let catalog = catalog("gfinder");
    let packed = column(catalog.table("gfinder_galaxies").unwrap(), "ls_id").origin.clone();
    assert_eq!(packed, Origin::LegacyId(["RELEASE".into(), "BRICKID".into(), "OBJID".into()]));
    assert_eq!(catalog.tables.iter().map(|table| table.columns.len()).collect::<Vec<_>>(), [12, 7, 3]);
    let rows: Vec<u64> = catalog.releases[0].rows.values().copied().collect();
    assert_eq!(rows, [134_731_580, 99_599_634, 134_731_580]);
    for (file, table) in [
        ("DESIDR9.y1.v1_galaxy.fits", "gfinder_galaxies"),
        ("DESIDR9.y1.v1_group.fits", "gfinder_groups"),
        ("iDESIDR9.y1.v1_1.fits", "gfinder_links"),
    ] {
        let fitting = catalog.tables.iter().filter(|t| t.files.iter().any(|f| f.matches(file).is_some()));
        assert_eq!(fitting.map(|table| table.name.as_str()).collect::<Vec<_>>(), [table]);
    }
}

#[test]
fn classes_of_agn_are_bits_with_meanings() {
    let catalog = catalog("agngal");
    let (agngal, aux) = (catalog.table("agngal").unwrap(), catalog.table("agngal_aux").unwrap());
    assert_eq!((agngal.columns.len(), aux.columns.len()), (36, 58));
    assert_eq!(catalog.releases[0].rows["agngal_desi.fits"], 17_995_599);
    let bits = |name: &str| column(agngal, name).codes.clone();
    assert_eq!((bits("agn_maskbits").len(), bits("opt_uv_type").len(), bits("ir_type").len()), (16, 39, 14));
    assert!(bits("opt_uv_type")[&3].starts_with("NII_SY"));
    assert!(bits("opt_uv_type")[&37].starts_with("NEV_AGN"));
    assert!(bits("ir_type")[&8].starts_with("WISE_AGN_A18"));
    // Between the quasar bits and the others two are free.
    assert!(!bits("agn_maskbits").contains_key(&8) && !bits("agn_maskbits").contains_key(&9));
}
