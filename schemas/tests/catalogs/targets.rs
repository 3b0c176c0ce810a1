//! What is declared of redshifts and quasars agrees with what the makers of the files say of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use specmill_schemas::catalogs::{Catalog, CatalogColumn, CatalogTable, Mark, Origin, Release, catalogs};
use specmill_schemas::{Element, Kind};

static CATALOGS: LazyLock<Vec<Catalog>> = LazyLock::new(catalogs);

fn catalog(name: &str) -> &'static Catalog {
    CATALOGS.iter().find(|catalog| catalog.name == name).unwrap_or_else(|| panic!("no catalogue {name}"))
}

fn table<'c>(catalog: &'c Catalog, name: &str) -> &'c CatalogTable {
    catalog.table(name).unwrap_or_else(|| panic!("{} has no table {name}", catalog.name))
}

fn column<'t>(table: &'t CatalogTable, name: &str) -> &'t CatalogColumn {
    let mut columns = table.columns.iter();
    columns.find(|column| column.field.name == name).unwrap_or_else(|| panic!("{} has no {name}", table.name))
}

/// What a file shows of its release.
#[derive(Default)]
struct Shown<'a> {
    name: &'a str,
    hdus: &'a [&'a str],
    columns: &'a [&'a str],
    keywords: &'a [(&'a str, &'a str)],
}

impl Shown<'_> {
    fn bears(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Keyword { keyword, value } => {
                self.keywords.iter().any(|(name, text)| name == keyword && text.starts_with(value.as_str()))
            }
            Mark::Hdu(name) => self.hdus.contains(&name.as_str()),
            Mark::NoHdu(name) => !self.hdus.contains(&name.as_str()),
            Mark::Column(name) => self.columns.contains(&name.as_str()),
            Mark::NoColumn(name) => !self.columns.contains(&name.as_str()),
            Mark::Name(pattern) => pattern.matches(self.name).is_some(),
        }
    }

    fn release<'c>(&self, catalog: &'c Catalog) -> &'c Release {
        let mut releases = catalog.releases.iter();
        releases
            .find(|release| release.marks.iter().all(|mark| self.bears(mark)))
            .unwrap_or_else(|| panic!("{} is of no release of {}", self.name, catalog.name))
    }
}

/// The tables that a file holds by its name, and what its placeholders say for the first.
fn tables_of(catalog: &Catalog, file: &str) -> (Vec<String>, Vec<(String, String)>) {
    let found = catalog.tables.iter().filter_map(|table| {
        let said = table.files.iter().find_map(|pattern| pattern.matches(file))?;
        Some((table.name.clone(), said))
    });
    let (names, said): (Vec<_>, Vec<_>) = found.unzip();
    (names, said.into_iter().next().unwrap_or_default().into_iter().collect())
}

#[test]
fn a_zpix_has_the_136_columns_of_iron_and_nine_more_of_later_versions() {
    let catalog = catalog("zall-pix");
    let zpix = table(catalog, "zpix");
    let later = [
        "fitmethod",
        "z_conf",
        "good_spec",
        "petal_loc",
        "fiber",
        "fiberassign_x",
        "fiberassign_y",
        "priority",
        "efftime_spec",
    ];
    for name in later {
        assert!(column(zpix, name).optional, "iron has no {name}");
    }
    assert_eq!(zpix.columns.len() - later.len(), 136);
}

#[test]
fn redshifts_of_v2_come_from_the_columns_of_the_recommended_one() {
    for (catalog, name) in [(catalog("zall-pix"), "zpix"), (catalog("ztile"), "ztile")] {
        let table = table(catalog, name);
        for name in ["z", "zerr", "zwarn", "chi2", "spectype", "subtype", "deltachi2"] {
            let wanted = vec![name.to_uppercase(), format!("{}_BEST", name.to_uppercase())];
            assert_eq!(column(table, name).origin, Origin::Columns(wanted));
        }
    }
}

#[test]
fn keys_are_what_names_a_row() {
    let keys = [
        ("zall-pix", "zpix", "targetid survey program healpix"),
        ("ztile", "ztile", "targetid tileid spgrp spgrpval"),
        ("emline", "emline", "targetid survey program healpix"),
        ("qso", "qso", "targetid survey program"),
        ("qso", "qso_tile", "targetid tileid lastnight"),
        ("bal", "bal", "targetid survey program"),
        ("zlya", "zlya", "targetid"),
        ("mgii", "mgii_absorbers", "targetid z_mgii"),
        ("civ", "civ_absorbers", "row"),
        ("civ", "civ_sightlines", "row"),
        ("civ", "civ_parents", "targetid"),
        ("qmassiron", "qmassiron", "targetid program"),
    ];
    for (name, of, key) in keys {
        let catalog = catalog(name);
        let table = table(catalog, of);
        assert_eq!(table.key.join(" "), key, "{of}");
        assert!(table.unique, "{of}");
    }
}

#[test]
fn a_redshift_catalogue_shows_its_version() {
    let catalog = catalog("zall-pix");
    let v1 = ["TARGETID", "DESINAME", "MEAN_MJD"];
    let of_loa = ["TARGETID", "DESINAME", "MEAN_MJD", "FITMETHOD"];
    let v2 = [("ZCATVER", "v2")];
    for (name, columns, keywords, release, specprod) in [
        ("zall-pix-iron.fits", &v1[..], &[][..], "iron v1", Some("iron")),
        ("zpix-main-dark.fits", &v1, &[("RRVER", "0.17.0")], "iron v1", Some("iron")),
        ("zall-pix-iron.fits", &v1[..1], &[], "iron v0", None),
        ("zpix-main-dark.fits", &v1[..1], &[("RRVER", "0.17.0")], "iron v0", None),
        ("zall-pix-loa.fits", &of_loa, &[], "loa v1", Some("loa")),
        ("zall-pix-loa.fits", &["TARGETID", "DESINAME", "Z_BEST"], &v2, "loa v2", Some("loa")),
        ("zpix-main-dark.fits", &of_loa, &[], "v1 of Redrock 0.20 or later", None),
        ("zpix-main-dark.fits", &["DESINAME", "Z_BEST"], &v2, "v2", None),
        ("zpix-main-dark.fits", &["DESINAME", "Z_BEST", "UNIQPIX"], &v2, "DR3 v2", None),
        ("zall-pix-fuji.fits", &v1[..1], &[("RRVER", "0.15.0")], "fuji", Some("fuji")),
        ("zpix-sv3-dark.fits", &v1[..1], &[("RRVER", "0.15.0")], "fuji or guadalupe", None),
        ("zpix-sv3-dark.fits", &v1[..1], &[("RRVER", "0.21.0"), ("SPGRP", "healpix")], "desi_zcatalog", None),
    ] {
        let found = Shown { name, columns, keywords, hdus: &["ZCATALOG"] }.release(catalog);
        assert_eq!((found.name.as_str(), found.specprod.as_deref()), (release, specprod), "{name}");
    }
    let extra = Shown { name: "zpix-main-dark-extra.fits", hdus: &["ZCATALOG_EXTRA"], ..Shown::default() };
    assert_eq!(extra.release(catalog).name, "v2 extra");
}

#[test]
fn what_is_not_taken_says_why_and_what_to_take() {
    let all = |columns: &[&str], name: &str, catalog: &Catalog| {
        let shown = Shown { name, columns, hdus: &["QSO_CAT", "ZCATALOG"], keywords: &[] };
        shown.release(catalog).refuse.clone().unwrap_or_else(|| panic!("{name} is taken"))
    };
    let v0 = all(&["TARGETID"], "zall-pix-iron.fits", catalog("zall-pix"));
    assert!(v0.contains("COADD_FIBERSTATUS") && v0.contains("take v1"), "{v0}");
    let v0 = all(&["TARGETID", "TILEID"], "zall-tilecumulative-iron.fits", catalog("ztile"));
    assert!(v0.contains("take v1"), "{v0}");
    let dr3 = all(&["UNIQPIX"], "zall-pix-matterhorn.fits", catalog("zall-pix"));
    assert!(dr3.contains("catalog_raw"), "{dr3}");
    let every = all(&["TARGETID"], "QSO_cat_iron_main_dark_healpix_all_targets_v1.fits", catalog("qso"));
    assert!(every.contains("without _all_targets"), "{every}");
}

#[test]
fn a_files_name_tells_its_table_and_what_its_columns_lack() {
    for (name, file, tables, said) in [
        ("zall-pix", "zall-pix-loa.fits", "zpix", "specprod=loa"),
        ("zall-pix", "zall-pix-loa-imaging.fits", "zpix_imaging", "specprod=loa"),
        ("zall-pix", "zpix-sv3-dark.fits", "zpix", "program=dark survey=sv3"),
        ("zall-pix", "zpix-main-bright-extra.fits", "zpix_extra", "program=bright survey=main"),
        ("ztile", "zall-tilecumulative-iron.fits", "ztile", "specprod=iron spgrp=cumulative"),
        ("ztile", "ztile-main-dark-1x_depth.fits", "ztile", "program=dark spgrp=1x_depth survey=main"),
        ("ztile", "ztile-main-dark-cumulative-extra.fits", "", ""),
        ("emline", "emline-sv3-dark-26065.fits", "emline", "healpix=26065 program=dark survey=sv3"),
        ("qso", "QSO_cat_iron_main_dark_healpix_v1.fits", "qso", "program=dark specprod=iron survey=main"),
        ("qso", "QSO_cat_fuji_dark_healpix.fits.gz", "qso", "program=dark specprod=fuji"),
        ("qso", "QSO_cat_fuji_cumulative.fits", "qso_tile", "specprod=fuji"),
        ("qso", "QSO_cat_fuji_dark_tile.fits.gz", "qso_tile", "program=dark specprod=fuji"),
        (
            "bal",
            "QSO_cat_fuji_sv1_dark-bal-mask-priors-SNR-v1.0.fits",
            "bal",
            "program=dark specprod=fuji survey=sv1",
        ),
        (
            "zlya",
            "qso_cat_dr1_main_dark_healpix_zlya-v0.fits",
            "zlya",
            "program=dark release=dr1 survey=main",
        ),
        ("mgii", "MgII-Absorbers-DR1.fits", "mgii_absorbers", "release=DR1"),
        ("mgii", "MgII-Absorbers-DR1-PI.fits", "mgii_absorbers", "release=DR1 sample=PI"),
        ("civ", "CIV-Absorbers-dr1-v1.0.fits", "civ_absorbers civ_sightlines", ""),
        ("civ", "CIV-Absorbers-parent-QSO-dr1-v1.0.fits", "civ_parents", ""),
        ("qmassiron", "VAC_BHmass_338_v1.7.fits", "qmassiron", ""),
    ] {
        let (found, placeholders) = tables_of(catalog(name), file);
        assert_eq!(found.join(" "), tables, "{file}");
        let placeholders: Vec<String> =
            placeholders.into_iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(placeholders.join(" "), said, "{file}");
    }
}

#[test]
fn photometry_that_was_not_measured_is_null_and_its_weight_is_not() {
    for (name, of) in [("zall-pix", "zpix"), ("zall-pix", "zpix_imaging"), ("ztile", "ztile")] {
        let catalog = catalog(name);
        let table = table(catalog, of);
        for band in ["g", "r", "z", "w1", "w2"] {
            assert_eq!(column(table, &format!("flux_{band}")).null_values, [0.0, -99.0], "{of} {band}");
            assert_eq!(column(table, &format!("flux_ivar_{band}")).null_values, [-99.0], "{of} {band}");
        }
        assert_eq!(column(table, "ebv").null_values, [0.0], "an unknown E(B-V) is not 0");
    }
}

#[test]
fn bits_mean_what_desitarget_and_redrock_say() {
    let catalog = catalog("zall-pix");
    let zpix = table(catalog, "zpix");
    let meaning = |name: &str, bit: i64| column(zpix, name).codes.get(&bit).map_or("", String::as_str);
    for name in ["desi_target", "sv1_desi_target", "sv2_desi_target", "sv3_desi_target"] {
        let classes = [0, 1, 2, 60].map(|bit| meaning(name, bit));
        assert_eq!(classes, ["LRG", "ELG", "QSO", "BGS_ANY"], "{name}");
    }
    assert_eq!([0, 5, 9, 11].map(|bit| meaning("zwarn", bit)), ["SKY", "Z_FITLIMIT", "NODATA", "POORDATA"]);
    assert_eq!(column(zpix, "zwarn").codes.len(), 12);
    assert_eq!(
        [2, 9, 16, 24].map(|bit| meaning("coadd_fiberstatus", bit)),
        ["BROKENFIBER", "BADPOSITION", "BADFIBER", "BADAMPZ"]
    );
}

#[test]
fn every_line_of_the_afterburner_has_its_ten_columns_and_doublets_their_share() {
    let catalog = catalog("emline");
    let emline = table(catalog, "emline");
    for line in ["oii", "hdelta", "hgamma", "hbeta", "oiii", "halpha"] {
        let of_line = emline.columns.iter().filter(|column| {
            let prefix = format!("{line}_");
            column.field.name.starts_with(&prefix)
        });
        assert_eq!(of_line.count(), if line.starts_with('o') { 12 } else { 10 }, "{line}");
        assert_eq!(column(emline, &format!("{line}_ndof")).null_values, [-99.0]);
        let width = &column(emline, &format!("{line}_ew")).field.description;
        assert!(width.contains("too large by (1+z)**2 in fuji and guadalupe"), "{width}");
    }
    assert_eq!(column(emline, "oii_flux").field.unit, "10**-17 erg/(s cm2)");
}

#[test]
fn troughs_are_arrays_whose_unused_elements_are_null() {
    let catalog = catalog("bal");
    let bal = table(catalog, "bal");
    for (width, length) in [("2000", 5), ("450", 17)] {
        for quantity in ["vmin", "vmax", "posmin", "fmin"] {
            for ion in ["civ", "siiv"] {
                let troughs = column(bal, &format!("{quantity}_{ion}_{width}"));
                assert_eq!(troughs.field.kind, Kind::Array(Element::Float32, length));
                assert_eq!(troughs.null_values, [-1.0]);
                assert_eq!(troughs.null_where_zero.as_deref(), Some("PCA_CHI2"));
            }
        }
    }
    assert_eq!(column(bal, "ai_civ").null_where_zero.as_deref(), Some("PCA_CHI2"));
    assert!(column(bal, "ai_civ").null_values.is_empty(), "no absorption is a measurement");
}

#[test]
fn published_counts_stand_beside_the_files_they_are_of() {
    for (name, file, rows) in [
        ("zall-pix", "zall-pix-iron.fits", 28_425_963),
        ("zall-pix", "zall-pix-fuji.fits", 2_847_435),
        ("bal", "QSO_cat_fuji_sv3_dark-bal-mask-priors-SNR-v1.0.fits", 50_993),
        ("mgii", "MgII-Absorbers-DR1.fits", 270_529),
        ("civ", "CIV-Absorbers-dr1-v1.0.fits", 32_321),
        ("civ", "CIV-Absorbers-parent-QSO-dr1-v1.0.fits", 94_986),
    ] {
        let catalog = catalog(name);
        let published: Vec<u64> =
            catalog.releases.iter().filter_map(|release| release.rows.get(file).copied()).collect();
        assert_eq!(published, [rows], "{file}");
    }
}

#[test]
fn only_identifier_position_and_redshift_are_wanted_of_a_cut_of_the_quasar_catalogue() {
    let catalog = catalog("qso");
    for (of, wanted) in [
        ("qso", ["TARGETID", "SURVEY", "PROGRAM", "Z", "TARGET_RA", "TARGET_DEC"].as_slice()),
        ("qso_tile", &["TARGETID", "TILEID", "LASTNIGHT", "Z", "TARGET_RA", "TARGET_DEC"]),
    ] {
        let needed: BTreeSet<&str> = table(catalog, of)
            .columns
            .iter()
            .filter(|column| !column.optional)
            .filter_map(|column| match &column.origin {
                Origin::Columns(names) | Origin::ColumnsOr { columns: names, .. } => {
                    names.first().map(String::as_str)
                }
                Origin::LegacyId(_) => None,
            })
            .collect();
        assert_eq!(needed, wanted.iter().copied().collect(), "{of}");
    }
}
