//! Every genuine file: scanned whole, and the coadds and redshifts read.

use std::path::{Path, PathBuf};

use specmill::fits::prescan::HduKind;
use specmill::fits::{
    CatalogColumns, CoaddBatch, CoaddFile, FitsError, Lookup, OpenOptions, Source, Want, read_redrock,
    read_redshift_catalog, read_table,
};

use crate::real::real_data;

const COADD_26065: &str = "tree/spectro/redux/fuji/healpix/sv3/dark/260/26065/coadd-sv3-dark-26065.fits";
const SPECTRA_26065: &str = "tree/spectro/redux/fuji/healpix/sv3/dark/260/26065/spectra-sv3-dark-26065.fits";
const COADD_80693: &str =
    "tree/spectro/redux/fuji/tiles/cumulative/80693/20210204/coadd-1-80693-thru20210204.fits";
const COADD_80613: &str =
    "tree/spectro/redux/iron/tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits";
const REDROCK_80613: &str =
    "tree/spectro/redux/iron/tiles/cumulative/80613/20210324/redrock-4-80613-thru20210324.fits";

fn read_whole(path: &Path) -> (CoaddFile, CoaddBatch) {
    let mut coadd = CoaddFile::open(path).unwrap();
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..coadd.n_rows(), &mut batch).unwrap();
    (coadd, batch)
}

fn fits_files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(fits_files_below(&path));
        } else if path.to_string_lossy().contains(".fits") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn every_file_passes_the_scan_and_every_column_is_read_or_refused_by_type() {
    let Some(folder) = real_data(".") else { return };
    let files = fits_files_below(&folder);
    assert!(files.len() >= 30, "{} files", files.len());
    for path in files {
        let source = Source::open(&path, &OpenOptions::default()).unwrap();
        for hdu in source.hdus() {
            let HduKind::Table(table) = &hdu.kind else { continue };
            let mut read = 0;
            for column in &table.columns {
                for want in [Want::I64, Want::F64, Want::Text, Want::Logical] {
                    match read_table(&source, hdu, &[(column.name.as_str(), want)]) {
                        Ok(values) => read += values.iter().flatten().count(),
                        Err(FitsError::WrongColumnType { .. }) => {}
                        Err(err) => panic!("{err}"),
                    }
                }
            }
            assert!(read > 0, "{}: {}", path.display(), hdu.label());
        }
    }
}

#[test]
fn the_edr_healpix_coadd_has_its_targets_and_dead_rows() {
    let Some(path) = real_data(COADD_26065) else { return };
    let (mut coadd, batch) = read_whole(&path);
    let fibermap = coadd.fibermap().unwrap();
    let ids =
        [-2_713_437, -2_713_415, 39_627_866_878_511_337, 616_088_619_186_127_404, 39_627_866_878_514_741];
    assert_eq!(fibermap.targetid, ids);
    assert_eq!(fibermap.coadd_fiberstatus.as_deref(), Some(&[1, 1033, 0, 520, 0][..]));
    assert_eq!(fibermap.objtype.unwrap(), ["", "", "TGT", "SKY", "TGT"]);
    let layout = batch.arms.each_ref().map(|arm| (arm.first_pixel, arm.n_pixels));
    assert_eq!(layout, [(0, 2751), (2700, 2326), (4900, 2881)]);
    for arm in &batch.arms {
        let rows: Vec<&[f32]> = arm.ivar_sp.chunks(arm.n_pixels).collect();
        for dead in [0, 1, 3] {
            assert!(rows[dead].iter().all(|&ivar| ivar.to_bits() == 0));
        }
        for live in [2, 4] {
            let good = rows[live].iter().filter(|&&ivar| ivar > 0.0).count();
            assert!(good * 100 >= arm.n_pixels * 99, "{good} of {}", arm.n_pixels);
        }
        assert!(arm.flux_sp.iter().chain(&arm.ivar_sp).all(|value| value.is_finite()));
        // Broken fibres are not masked in coadds; cosmics (bit 0) are.
        assert!(arm.mask_sp.iter().all(|&bits| bits <= 1));
    }
    let keywords = coadd.keywords();
    assert_eq!(keywords.specprod.as_deref(), Some("fuji"));
    assert_eq!((keywords.hpxpixel, keywords.hpxnest), (Some(26_065), Some(true)));
}

#[test]
fn exposure_spectra_of_the_same_pixel_are_refused_though_their_masks_are_tiles() {
    let Some(path) = real_data(SPECTRA_26065) else { return };
    assert!(matches!(CoaddFile::open(&path), Err(FitsError::PerExposure { .. })));
    let source = Source::open(&path, &OpenOptions::default()).unwrap();
    let HduKind::CompressedImage { image, algorithm, .. } = &source.require("B_MASK").unwrap().kind else {
        panic!("B_MASK is not compressed")
    };
    assert_eq!((image.shape.as_slice(), algorithm.as_str()), (&[5, 2751][..], "GZIP_1"));
}

#[test]
fn genuine_tile_masks_decode_to_the_broken_fibres() {
    let Some(path) = real_data(SPECTRA_26065) else { return };
    // Without EXPID its FIBERMAP looks like a coadd's, so that the arms are read.
    let mut bytes = fs_err::read(&path).unwrap();
    let name = b"'EXPID   '";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + 1] = b'X';
    let file = super::files::on_disk("coadd.fits", &bytes);
    let (_, batch) = read_whole(&file.path);
    for arm in &batch.arms {
        for (mask, ivar) in arm.mask_sp.chunks(arm.n_pixels).zip(arm.ivar_sp.chunks(arm.n_pixels)) {
            let broken = ivar.iter().all(|&v| v.to_bits() == 0);
            assert_eq!(broken, mask.iter().all(|&bits| bits & 512 != 0));
        }
        assert!(arm.mask_sp.contains(&512));
    }
}

#[test]
fn the_edr_tile_coadd_has_five_quasars_and_few_columns() {
    let Some(path) = real_data(COADD_80693) else { return };
    let (mut coadd, batch) = read_whole(&path);
    let fibermap = coadd.fibermap().unwrap();
    assert_eq!(fibermap.targetid.len(), 5);
    assert_eq!(fibermap.ebv, None);
    assert!(batch.arms.iter().all(|arm| arm.ivar_sp.iter().any(|&ivar| ivar > 0.0)));
    assert_eq!((coadd.keywords().tileid, coadd.keywords().petal), (Some(80_693), Some(1)));
    let Some(catalog) = real_data("catalogs/qso/QSO_cat_fuji_dark_tile.fits.gz") else { return };
    let table = read_redshift_catalog(&catalog, &CatalogColumns::default()).unwrap();
    for lookup in table.for_targets(&fibermap.targetid) {
        assert!(matches!(lookup, Lookup::Found(found) if found.z.is_some_and(|z| z > 0.0)), "{lookup:?}");
    }
}

#[test]
fn the_dr1_tile_coadd_and_its_redrock_are_of_the_same_target() {
    let (Some(coadd), Some(redrock)) = (real_data(COADD_80613), real_data(REDROCK_80613)) else { return };
    let (mut coadd, _) = read_whole(&coadd);
    let targetid = coadd.fibermap().unwrap().targetid;
    let table = read_redrock(&redrock).unwrap();
    // TNULL of these columns names legal values; nothing is lost to it.
    let Lookup::Found(found) = table.lookup(targetid[0]) else { panic!("no redshift") };
    assert_eq!((found.zwarn, found.spectype, found.subtype), (Some(0), Some("GALAXY"), None));
    assert!(found.z.is_some_and(|z| (z - 0.368_743_55).abs() < 1e-8));
    assert_eq!(coadd.keywords().specprod.as_deref(), Some("iron"));
}

#[test]
fn a_catalogue_with_strings_in_the_heap_and_repeated_targets_is_read() {
    let Some(path) = real_data("catalogs/qso/QSO_cat_fuji_cumulative.fits") else { return };
    let columns = CatalogColumns { spectype: Some("SPECTYPE".to_owned()), ..CatalogColumns::default() };
    let table = read_redshift_catalog(&path, &columns).unwrap();
    assert_eq!(table.len(), 5314);
    let mut distinct = table.targetid.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 2478);
    let classes: std::collections::BTreeSet<&str> = table.spectype.as_ref().unwrap().iter().collect();
    assert!(classes.contains("QSO") && classes.iter().all(|class| class.len() <= 6), "{classes:?}");
    assert!(distinct.iter().all(|&id| table.lookup(id) != Lookup::Missing));
}

#[test]
fn old_layouts_are_refused_with_the_reason() {
    let cases = [
        ("legacy-layouts/andes/coadd-bgs-66003-20200315.fits", "not a DESI coadd"),
        ("mocks/spectra-16-1375.fits", "one row per exposure"),
        ("models/quasarnp/test_coadd.fits", "no HDU FIBERMAP"),
    ];
    for (path, expected) in cases {
        let Some(path) = real_data(path) else { return };
        let err = CoaddFile::open(&path).err().unwrap();
        assert!(err.to_string().contains(expected), "{err}");
    }
}

#[test]
fn copied_fibermaps_with_old_checksums_only_warn() {
    let Some(path) = real_data("catalogs/production/fibers-153-20210504.fits") else { return };
    let source = Source::open(&path, &OpenOptions::default()).unwrap();
    assert!(!source.checksum_warnings("FIBERMAP").unwrap().is_empty());
    let Some(path) = real_data(COADD_26065) else { return };
    let source = Source::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(source.checksum_warnings("FIBERMAP").unwrap(), Vec::<String>::new());
}
