//! Layouts of coadds that exist in releases: each is read.

use specmill::fits::{CoaddBatch, CoaddFile, FitsError, Lookup, OpenOptions, Source, read_redrock};

use crate::fits_bytes::{
    FitsBytes, MaskForm, TARGETIDS, TestCoadd, TestColumn, gzip, quoted, test_flux, test_mask,
};

use super::files::{coadd_on_disk, on_disk, read_whole};

fn expected_flux(rows: std::ops::Range<usize>, n: usize) -> Vec<f32> {
    rows.flat_map(|row| (0..n).map(move |p| test_flux(row, p))).collect()
}

fn expected_mask(rows: std::ops::Range<usize>, n: usize) -> Vec<u32> {
    rows.flat_map(|row| (0..n).map(move |p| test_mask(row, p))).collect()
}

#[test]
fn hdus_are_found_by_name_wherever_they_stand() {
    let scores = vec![TestColumn::i64("TARGETID", &TARGETIDS), TestColumn::f32("TSNR2_LRG", &[1.0; 5])];
    let coadd = TestCoadd {
        arms: vec![("Z", 60, 31), ("B", 0, 40), ("R", 30, 33)],
        scores: Some(scores),
        ..TestCoadd::default()
    };
    let (mut file, batch) = read_whole(&coadd);
    let firsts = batch.arms.each_ref().map(|arm| (arm.first_pixel, arm.n_pixels));
    assert_eq!(firsts, [(0, 40), (30, 33), (60, 31)]);
    assert_eq!(batch.arms[0].flux_sp, expected_flux(0..5, 40));
    assert_eq!(batch.arms[2].flux_sp, expected_flux(0..5, 31));
    assert_eq!(file.fibermap().unwrap().tsnr2.unwrap()["TSNR2_LRG"], [1.0; 5]);
}

#[test]
fn mask_is_the_same_unsigned_signed_or_in_tiles() {
    for mask in [MaskForm::Unsigned, MaskForm::Signed, MaskForm::Tiles] {
        let (_, batch) = read_whole(&TestCoadd { mask, ..TestCoadd::default() });
        assert_eq!(batch.arms[0].mask_sp, expected_mask(0..5, 40), "{mask:?}");
        assert_eq!(batch.arms[1].mask_sp, expected_mask(0..5, 33), "{mask:?}");
    }
}

#[test]
fn an_absent_mask_is_zero_even_in_a_used_batch() {
    let mut batch = CoaddBatch::default();
    let masked = coadd_on_disk(&TestCoadd::default());
    CoaddFile::open(&masked.path).unwrap().read_rows(0..5, &mut batch).unwrap();
    assert!(batch.arms[0].mask_sp.iter().any(|&bits| bits != 0));
    let unmasked = coadd_on_disk(&TestCoadd { mask: MaskForm::Absent, ..TestCoadd::default() });
    CoaddFile::open(&unmasked.path).unwrap().read_rows(0..5, &mut batch).unwrap();
    assert!(batch.arms.iter().all(|arm| arm.mask_sp.iter().all(|&bits| bits == 0)));
}

#[test]
fn dead_rows_have_ivar_zero_and_stay_rows() {
    let (_, batch) = read_whole(&TestCoadd::default());
    let ivar = &batch.arms[0].ivar_sp;
    assert!(ivar[..80].iter().all(|&v| v.to_bits() == 0));
    assert!(ivar[80..].iter().all(|&v| v > 0.0));
}

#[test]
fn targetids_keep_all_64_bits() {
    let ids = [i64::MIN, -2_713_437, 0, (1 << 53) + 1, i64::MAX];
    let fibermap = vec![TestColumn::i64("TARGETID", &ids)];
    let (mut file, _) = read_whole(&TestCoadd { fibermap, ..TestCoadd::default() });
    assert_eq!(file.fibermap().unwrap().targetid, ids);
}

#[test]
fn exposure_rows_are_not_targets() {
    let file = coadd_on_disk(&TestCoadd::default());
    let mut bytes = FitsBytes(fs_err::read(&file.path).unwrap());
    bytes.table("EXP_FIBERMAP", &[TestColumn::i64("TARGETID", &[1; 30])], &[], &[]);
    let file = on_disk("coadd.fits", &bytes.0);
    assert_eq!(CoaddFile::open(&file.path).unwrap().n_rows(), 5);
}

#[test]
fn only_targetid_is_required() {
    let fibermap = vec![TestColumn::i64("TARGETID", &TARGETIDS)];
    let (mut file, _) = read_whole(&TestCoadd { fibermap, ..TestCoadd::default() });
    let fibermap = file.fibermap().unwrap();
    assert_eq!(fibermap.coadd_fiberstatus, None);
    assert_eq!(fibermap.ebv, None);
    for name in ["COADD_FIBERSTATUS", "EBV", "OBJTYPE", "SCORES"] {
        assert!(fibermap.absent.iter().any(|absent| absent == name), "{name}");
    }
}

#[test]
fn a_column_may_change_kind_between_releases() {
    let wide = TestCoadd {
        fibermap: vec![
            TestColumn::i64("TARGETID", &TARGETIDS),
            TestColumn::f32("TARGET_RA", &[10.5; 5]),
            TestColumn::f64("EBV", &[0.25, f64::INFINITY, 1e300, 0.5, 0.125]),
            TestColumn::i64("COADD_FIBERSTATUS", &[1, 1033, 0, 520, 0]),
        ],
        scores: Some(vec![TestColumn::f64("TSNR2_LRG", &[2.5; 5])]),
        ..TestCoadd::default()
    };
    let fibermap = read_whole(&wide).0.fibermap().unwrap();
    assert_eq!(fibermap.target_ra.unwrap(), [10.5; 5]);
    assert_eq!(fibermap.ebv.unwrap(), [0.25, f32::INFINITY, f32::INFINITY, 0.5, 0.125]);
    assert_eq!(fibermap.coadd_fiberstatus.unwrap(), [1, 1033, 0, 520, 0]);
    assert_eq!(fibermap.tsnr2.unwrap()["TSNR2_LRG"], [2.5; 5]);
}

#[test]
fn targeting_columns_of_every_survey_are_kept_by_name() {
    let fibermap = vec![
        TestColumn::i64("TARGETID", &TARGETIDS),
        TestColumn::i64("DESI_TARGET", &[1 << 62, 0, 1, 2, 3]),
        TestColumn::i64("SV3_DESI_TARGET", &[4; 5]),
        TestColumn::i64("CMX_TARGET", &[5; 5]),
    ];
    let fibermap = read_whole(&TestCoadd { fibermap, ..TestCoadd::default() }).0.fibermap().unwrap();
    assert_eq!(fibermap.desi_target.unwrap()[0], 1 << 62);
    let names: Vec<&String> = fibermap.target_bits.keys().collect();
    assert_eq!(names, ["CMX_TARGET", "SV3_DESI_TARGET"]);
}

#[test]
fn hpxnest_may_be_a_string_or_a_logical() {
    for (value, expected) in [("'True    '", Some(true)), ("T", Some(true)), ("'False   '", Some(false))] {
        let coadd = TestCoadd::default().with_card("HPXNEST", value);
        assert_eq!(read_whole(&coadd).0.keywords().hpxnest, expected, "{value}");
    }
    let without = TestCoadd::default().without_card("HPXNEST");
    assert_eq!(read_whole(&without).0.keywords().hpxnest, None);
}

#[test]
fn specprod_comes_from_its_card_or_from_the_dependencies() {
    assert_eq!(read_whole(&TestCoadd::default()).0.keywords().specprod.as_deref(), Some("fuji"));
    let stated = TestCoadd::default().with_card("SPECPROD", "'iron    '");
    assert_eq!(read_whole(&stated).0.keywords().specprod.as_deref(), Some("iron"));
}

#[test]
fn continued_strings_are_joined_and_nothing_after_them_is_lost() {
    let mut coadd = TestCoadd::default();
    coadd
        .cards
        .insert(0, ("LONG".to_owned(), "'/global/common/software/desi/cori/desiconda/2021&'".to_owned()));
    coadd.cards.insert(1, ("CONTINUE".to_owned(), "'1217/desimodel'".to_owned()));
    let (file, _) = read_whole(&coadd);
    let header = &file.source().hdus()[0].header;
    assert_eq!(header.text("LONG"), Some("/global/common/software/desi/cori/desiconda/20211217/desimodel"));
    assert_eq!(file.keywords().hpxpixel, Some(26065));
}

#[test]
fn a_primary_that_holds_data_has_its_name() {
    let mut file = FitsBytes::default();
    let name = quoted("FLUX");
    file.header(
        &[("SIMPLE", "T"), ("BITPIX", "-32"), ("NAXIS", "1"), ("NAXIS1", "3")],
        &[("EXTNAME", name.as_str())],
    );
    file.data(&[0; 12]);
    file.image_f32("", &[2], &[1.0, 2.0]);
    let file = on_disk("frame.fits", &file.0);
    let source = Source::open(&file.path, &OpenOptions::default()).unwrap();
    assert_eq!(source.find("FLUX").map(|hdu| hdu.index), Some(0));
    assert_eq!(source.hdus()[1].extname, None);
}

#[test]
fn gzip_is_recognised_by_content_with_one_member_or_several() {
    let plain = TestCoadd::default().bytes();
    let (first, second) = plain.split_at(10_000);
    let mut padded = gzip(&plain);
    padded.resize(padded.len() + 512, 0);
    let members = [gzip(first), gzip(second)].concat();
    for (name, bytes) in [("a.fits.gz", gzip(&plain)), ("b.fits", members), ("c.fits.gz", padded)] {
        let file = on_disk(name, &bytes);
        let mut coadd = CoaddFile::open(&file.path).unwrap();
        let mut batch = CoaddBatch::default();
        coadd.read_rows(0..5, &mut batch).unwrap();
        assert_eq!(batch.arms[1].flux_sp, expected_flux(0..5, 33), "{name}");
    }
    let misnamed = on_disk("plain.fits.gz", &plain);
    assert_eq!(CoaddFile::open(&misnamed.path).unwrap().n_rows(), 5);
}

#[test]
fn whole_hdus_may_be_missing() {
    let coadd = TestCoadd { arms: vec![("R", 2700, 40)], mask: MaskForm::Absent, ..TestCoadd::default() };
    let (file, batch) = read_whole(&coadd);
    assert!(file.arms()[0].is_none() && file.arms()[2].is_none());
    assert_eq!(batch.arms[1].first_pixel, 2700);
    assert_eq!((batch.arms[0].n_pixels, batch.arms[0].flux_sp.len()), (0, 0));
}

#[test]
fn extra_hdus_change_nothing() {
    let mut bytes = FitsBytes(TestCoadd::default().bytes());
    bytes.image_f32("B_MODEL", &[5, 40], &[7.0; 200]);
    bytes.table("EXTRA_CATALOG", &[TestColumn::i64("TARGETID", &[1, 2])], &[], &[]);
    let file = on_disk("coadd.fits", &bytes.0);
    let mut coadd = CoaddFile::open(&file.path).unwrap();
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..5, &mut batch).unwrap();
    assert_eq!(batch.arms[0].flux_sp, expected_flux(0..5, 40));
}

#[test]
fn one_batch_equals_many() {
    let (mut coadd, whole) = read_whole(&TestCoadd { mask: MaskForm::Tiles, ..TestCoadd::default() });
    let mut flux = Vec::new();
    let mut mask = Vec::new();
    let mut batch = CoaddBatch::default();
    for rows in [0..2, 2..2, 2..5] {
        coadd.read_rows(rows.clone(), &mut batch).unwrap();
        assert_eq!(batch.rows, rows);
        flux.extend_from_slice(&batch.arms[2].flux_sp);
        mask.extend_from_slice(&batch.arms[2].mask_sp);
    }
    assert_eq!(flux, whole.arms[2].flux_sp);
    assert_eq!(mask, whole.arms[2].mask_sp);
}

#[test]
fn a_coadd_without_rows_is_read() {
    let fibermap = vec![TestColumn::i64("TARGETID", &[]), TestColumn::i32("COADD_FIBERSTATUS", &[])];
    for arms in [vec![("B", 0, 40)], vec![]] {
        let mut bytes = FitsBytes::new(&[]);
        // A table without rows still has the width of its columns.
        bytes.header(
            &[
                ("XTENSION", "'BINTABLE'"),
                ("BITPIX", "8"),
                ("NAXIS", "2"),
                ("NAXIS1", "12"),
                ("NAXIS2", "0"),
                ("PCOUNT", "0"),
                ("GCOUNT", "1"),
                ("TFIELDS", "2"),
                ("TTYPE1", "'TARGETID'"),
                ("TFORM1", "'K       '"),
                ("TTYPE2", "'COADD_FIBERSTATUS'"),
                ("TFORM2", "'J       '"),
                ("EXTNAME", "'FIBERMAP'"),
            ],
            &[],
        );
        let whole = TestCoadd { arms: arms.clone(), fibermap: fibermap.clone(), ..TestCoadd::default() };
        // The arms of the same coadd, after its primary and FIBERMAP.
        let tail = whole.bytes().split_off(2 * 2880);
        bytes.0.extend_from_slice(&tail);
        let file = on_disk("coadd.fits", &bytes.0);
        let mut coadd = CoaddFile::open(&file.path).unwrap();
        let mut batch = CoaddBatch::default();
        coadd.read_rows(0..0, &mut batch).unwrap();
        assert_eq!(coadd.n_rows(), 0);
        assert_eq!(coadd.arms()[0].is_some(), !arms.is_empty());
        assert!(coadd.fibermap().unwrap().targetid.is_empty());
    }
}

#[test]
fn names_with_syntax_in_them_are_only_names() {
    let bytes = TestCoadd::default().bytes();
    for name in ["coadd[1].fits", "!coadd.fits", "a(b).fits", "mem:x.fits", "x.fits+1", "c [ROW>3].fits"] {
        let file = on_disk(name, &bytes);
        let mut coadd = CoaddFile::open(&file.path).unwrap();
        assert_eq!(coadd.fibermap().unwrap().targetid, TARGETIDS, "{name}");
    }
}

#[test]
fn an_unpadded_last_block_is_read() {
    let mut file = FitsBytes::new(&[]);
    let columns = [TestColumn::i64("TARGETID", &TARGETIDS), TestColumn::f64("Z", &[0.5; 5])];
    file.table("REDSHIFTS", &columns, &[], &[]);
    file.0.truncate(file.0.len() - 2880 + 5 * 16);
    let file = on_disk("redrock.fits", &file.0);
    let table = read_redrock(&file.path).unwrap();
    assert!(matches!(table.lookup(TARGETIDS[4]), Lookup::Found(found) if found.z == Some(0.5)));
}

#[test]
fn scores_of_other_targets_are_not_used() {
    let scores = vec![TestColumn::i64("TARGETID", &[5, 4, 3, 2, 1]), TestColumn::f32("TSNR2_LRG", &[1.0; 5])];
    let fibermap =
        read_whole(&TestCoadd { scores: Some(scores), ..TestCoadd::default() }).0.fibermap().unwrap();
    assert_eq!(fibermap.tsnr2, None);
    assert_eq!(fibermap.warnings.len(), 1);
}

#[test]
fn a_file_replaced_while_open_is_still_the_file_that_was_opened() {
    let file = coadd_on_disk(&TestCoadd::default());
    let mut coadd = CoaddFile::open(&file.path).unwrap();
    fs_err::remove_file(&file.path).unwrap();
    fs_err::write(&file.path, b"something else").unwrap();
    let mut batch = CoaddBatch::default();
    coadd.read_rows(3..5, &mut batch).unwrap();
    assert_eq!(batch.arms[0].flux_sp, expected_flux(3..5, 40));
}

#[test]
fn rows_beyond_the_end_are_refused() {
    let file = coadd_on_disk(&TestCoadd::default());
    let mut coadd = CoaddFile::open(&file.path).unwrap();
    let err = coadd.read_rows(3..6, &mut CoaddBatch::default()).unwrap_err();
    assert!(matches!(err, FitsError::NoSuchRows { end: 6, n_rows: 5, .. }));
}
