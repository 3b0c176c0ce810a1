//! What is refused, and how the message names file, HDU and reason.

use specmill::fits::prescan::{HduKind, ScanLimits, scan};
use specmill::fits::{CoaddFile, FitsError, OpenOptions, Source};

use crate::fits_bytes::{FitsBytes, MaskForm, TARGETIDS, TestCoadd, TestColumn, gzip};

use super::files::{coadd_on_disk, in_full, on_disk, scanned};

fn refusal(coadd: &TestCoadd) -> FitsError {
    let file = coadd_on_disk(coadd);
    match CoaddFile::open(&file.path) {
        Ok(_) => panic!("the coadd was accepted"),
        Err(err) => err,
    }
}

fn refusal_of_bytes(bytes: &[u8]) -> FitsError {
    let file = on_disk("coadd.fits", bytes);
    match CoaddFile::open(&file.path) {
        Ok(_) => panic!("the coadd was accepted"),
        Err(err) => err,
    }
}

/// Replaces the first card of `keyword` after `from` by another value.
fn replace_card(bytes: &mut [u8], from: usize, keyword: &str, value: &str) {
    let start = format!("{keyword:<8}= ");
    let at = bytes[from..].windows(start.len()).position(|window| window == start.as_bytes()).unwrap() + from;
    bytes[at..at + 80].copy_from_slice(format!("{:<80}", format!("{start}{value:>20}")).as_bytes());
}

#[test]
fn a_truncated_file_is_named_with_hdu_and_bytes() {
    let whole = TestCoadd::default().bytes();
    // Cut inside the data of R_IVAR.
    let cut = 300;
    let file = on_disk("coadd.fits", &whole);
    let source = Source::open(&file.path, &OpenOptions::default()).unwrap();
    let hdu = source.find("R_IVAR").unwrap();
    let (index, end) = (hdu.index, usize::try_from(hdu.data_offset).unwrap() + cut);
    let text = in_full(&refusal_of_bytes(&whole[..end]));
    let expected = format!("HDU {index} (R_IVAR): truncated: 660 bytes of data expected, 300 present");
    assert!(text.contains(&expected) && text.contains("coadd.fits"), "{text}");
}

#[test]
fn every_truncation_is_refused_or_loses_whole_hdus() {
    let whole = TestCoadd { mask: MaskForm::Tiles, ..TestCoadd::default() }.bytes();
    let hdus = scan(whole.as_slice(), &ScanLimits::default()).unwrap();
    for cut in (0..whole.len()).step_by(97) {
        if let Ok(found) = scan(&whole[..cut], &ScanLimits::default()) {
            assert_eq!(found, hdus[..found.len()], "cut at {cut}");
            let last = found.last().unwrap();
            assert!(last.data_offset + last.data_bytes <= cut as u64, "cut at {cut}");
        }
    }
}

#[test]
fn empty_foreign_and_special_files_are_told_apart() {
    assert!(matches!(scanned(&[]).1, Err(FitsError::Empty { .. })));
    for bytes in [b"\x89HDF\r\n\x1a\n".repeat(1000), vec![0; 5760], b"SIMPLE".to_vec(), b"<html>".to_vec()] {
        assert!(matches!(scanned(&bytes).1, Err(FitsError::NotFits { .. })));
    }
    let folder = tempfile::TempDir::new().unwrap();
    assert!(matches!(Source::open(folder.path(), &OpenOptions::default()), Err(FitsError::NotAFile { .. })));
    let missing = folder.path().join("none.fits");
    assert!(matches!(Source::open(&missing, &OpenOptions::default()), Err(FitsError::Io { .. })));
}

#[test]
fn damaged_gzip_data_are_refused() {
    let mut bytes = gzip(&TestCoadd::default().bytes());
    let garbage = [bytes.clone(), b"garbage".to_vec()].concat();
    assert!(matches!(scanned(&garbage).1, Err(FitsError::Gzip { .. })));
    bytes.truncate(bytes.len() / 2);
    assert!(matches!(scanned(&bytes).1, Err(FitsError::Gzip { .. })));
}

#[test]
fn a_gzip_file_that_inflates_beyond_the_limit_is_refused() {
    let file = on_disk("bomb.fits.gz", &gzip(&vec![b' '; 3_000_000]));
    let options = OpenOptions { max_inflated_bytes: 1_000_000, ..OpenOptions::default() };
    let err = Source::open(&file.path, &options).unwrap_err();
    assert!(matches!(err, FitsError::TooLarge { limit: 1_000_000, .. }), "{err}");
}

#[test]
fn a_shifted_grid_is_refused_and_says_where() {
    let mut bytes = TestCoadd::default().bytes();
    let hdus = scan(bytes.as_slice(), &ScanLimits::default()).unwrap();
    let hdu = hdus.iter().find(|hdu| hdu.extname.as_deref() == Some("R_WAVELENGTH")).unwrap();
    // Pixel 7 of the arm moved by 0.001 Å, ten times the tolerance.
    let at = usize::try_from(hdu.data_offset).unwrap() + 7 * 8;
    bytes[at..at + 8].copy_from_slice(&(3600.0 + 0.8 * 37.0 + 0.001_f64).to_be_bytes());
    let err = refusal_of_bytes(&bytes);
    assert!(matches!(err, FitsError::ShiftedGrid { pixel: 7, .. }), "{err}");
    assert!(err.to_string().contains("R_WAVELENGTH"), "{err}");
}

#[test]
fn rounding_noise_of_the_grid_is_accepted() {
    let mut bytes = TestCoadd::default().bytes();
    let hdus = scan(bytes.as_slice(), &ScanLimits::default()).unwrap();
    let hdu = hdus.iter().find(|hdu| hdu.extname.as_deref() == Some("B_WAVELENGTH")).unwrap();
    let at = usize::try_from(hdu.data_offset).unwrap() + 39 * 8;
    bytes[at..at + 8].copy_from_slice(&(3600.0 + 0.8 * 39.0 + 5e-10_f64).to_be_bytes());
    let file = on_disk("coadd.fits", &bytes);
    assert!(CoaddFile::open(&file.path).is_ok());
}

#[test]
fn grids_before_beyond_or_off_desis_are_refused() {
    let grid = |first_aa: f64, step_aa: f64, n: usize| {
        let wave: Vec<u8> = (0..n)
            .flat_map(|p| (first_aa + step_aa * f64::from(u16::try_from(p).unwrap())).to_be_bytes())
            .collect();
        let mut file = FitsBytes::new(&[]);
        file.table("FIBERMAP", &[TestColumn::i64("TARGETID", &[1])], &[], &[]);
        file.image("B_WAVELENGTH", -64, &[n], &wave, &[]);
        for name in ["B_FLUX", "B_IVAR"] {
            file.image_f32(name, &[1, n], &vec![1.0; n]);
        }
        file.0
    };
    let cases = [(3599.2, 0.8, 10), (9824.0, 0.8, 2), (3600.0, 1.0, 10), (f64::NAN, 0.8, 3), (1e300, 0.8, 2)];
    for (first_aa, step_aa, n) in cases {
        let err = refusal_of_bytes(&grid(first_aa, step_aa, n));
        assert!(matches!(err, FitsError::ShiftedGrid { .. }), "{first_aa}: {err}");
    }
    assert!(matches!(refusal_of_bytes(&grid(3600.0, 0.8, 7782)), FitsError::WrongShape { .. }));
}

#[test]
fn images_must_have_one_row_per_target() {
    let fibermap = vec![TestColumn::i64("TARGETID", &TARGETIDS[..4])];
    let four = TestCoadd { fibermap, ..TestCoadd::default() }.bytes();
    let five = TestCoadd::default().bytes();
    // FIBERMAP of four rows before images of five: both tables take one block of data.
    let hdus = scan(five.as_slice(), &ScanLimits::default()).unwrap();
    let images = usize::try_from(hdus[2].header_offset).unwrap();
    let four_hdus = scan(four.as_slice(), &ScanLimits::default()).unwrap();
    let head = usize::try_from(four_hdus[2].header_offset).unwrap();
    let err = refusal_of_bytes(&[&four[..head], &five[images..]].concat());
    assert!(matches!(&err, FitsError::WrongShape { actual, .. } if *actual == [5, 40]), "{err}");
    assert!(err.to_string().contains("B_FLUX") && err.to_string().contains("[4, 40]"), "{err}");
}

#[test]
fn a_missing_ivar_or_wavelength_is_named() {
    for name in ["B_IVAR", "R_WAVELENGTH"] {
        let mut bytes = TestCoadd::default().bytes();
        let from = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        bytes[from] = b'X';
        let err = refusal_of_bytes(&bytes);
        assert!(matches!(&err, FitsError::MissingHdu { extname, .. } if extname == name), "{err}");
    }
}

#[test]
fn exposure_spectra_are_refused_with_the_reason() {
    let fibermap = vec![
        TestColumn::i64("TARGETID", &TARGETIDS),
        TestColumn::i32("FIBERSTATUS", &[0; 5]),
        TestColumn::i32("EXPID", &[55_555; 5]),
        TestColumn::i32("TILEID", &[80_613; 5]),
    ];
    let err = refusal(&TestCoadd { fibermap, ..TestCoadd::default() });
    assert!(matches!(err, FitsError::PerExposure { .. }), "{err}");
    assert!(err.to_string().contains("one row per exposure"), "{err}");
}

#[test]
fn layouts_without_arms_are_refused_with_what_they_have() {
    let mut andes = FitsBytes::new(&[]);
    andes.table("BRZ_TABLE", &[TestColumn::f64("WAVELENGTH", &[3600.0, 3600.8])], &[], &[]);
    let err = refusal_of_bytes(&andes.0);
    assert!(matches!(&err, FitsError::NoArm { found, .. } if found == "BRZ_TABLE"), "{err}");
    let bare = TestCoadd { arms: vec![], ..TestCoadd::default() };
    assert!(matches!(refusal(&bare), FitsError::NoArm { .. }));
}

#[test]
fn a_table_where_an_image_should_be_is_refused() {
    let mut bytes = FitsBytes::new(&[]);
    bytes.table("FIBERMAP", &[TestColumn::i64("TARGETID", &[1])], &[], &[]);
    bytes.table("B_WAVELENGTH", &[TestColumn::f64("WAVE", &[3600.0])], &[], &[]);
    bytes.image_f32("B_FLUX", &[1, 1], &[1.0]);
    let err = refusal_of_bytes(&bytes.0);
    assert!(matches!(err, FitsError::WrongKind { .. }), "{err}");
}

#[test]
fn a_mask_of_floats_is_refused() {
    let mut bytes = FitsBytes(TestCoadd { mask: MaskForm::Absent, ..TestCoadd::default() }.bytes());
    bytes.image_f32("B_MASK", &[5, 40], &[0.0; 200]);
    let err = refusal_of_bytes(&bytes.0);
    assert!(matches!(err, FitsError::WrongKind { .. }), "{err}");
}

#[test]
fn tiles_outside_their_heap_are_refused() {
    let coadd = TestCoadd { mask: MaskForm::Tiles, ..TestCoadd::default() };
    let mut bytes = coadd.bytes();
    let hdus = scan(bytes.as_slice(), &ScanLimits::default()).unwrap();
    let hdu = hdus.iter().find(|hdu| matches!(hdu.kind, HduKind::CompressedImage { .. })).unwrap();
    let at = usize::try_from(hdu.data_offset).unwrap();
    bytes[at + 4..at + 8].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    let file = on_disk("coadd.fits", &bytes);
    let mut coadd = CoaddFile::open(&file.path).unwrap();
    let err = coadd.read_rows(0..5, &mut specmill::fits::CoaddBatch::default()).unwrap_err();
    assert!(matches!(err, FitsError::OutsideHeap { row: 0, .. }), "{err}");
}

#[test]
fn compressions_that_no_coadd_uses_are_refused() {
    let coadd = TestCoadd { mask: MaskForm::Tiles, ..TestCoadd::default() };
    let mut bytes = coadd.bytes();
    replace_card(&mut bytes, 0, "ZCMPTYPE", "'PLIO_1  '");
    let file = on_disk("coadd.fits", &bytes);
    let mut coadd = CoaddFile::open(&file.path).unwrap();
    let err = coadd.read_rows(0..5, &mut specmill::fits::CoaddBatch::default()).unwrap_err();
    assert!(matches!(&err, FitsError::Compression { algorithm, .. } if algorithm == "PLIO_1"), "{err}");
}

#[test]
fn headers_that_lie_are_refused_one_by_one() {
    let lies = [
        ("NAXIS1", "-1", "NAXIS1"),
        ("NAXIS2", "9223372036854775807", "fit"),
        ("NAXIS2", "1000000", "truncated"),
        ("NAXIS1", "13", "bytes wide"),
        ("NAXIS", "3", "NAXIS3"),
        ("NAXIS", "1000", "NAXIS"),
        ("PCOUNT", "-5", "PCOUNT"),
        ("PCOUNT", "4611686018427387904", "fit"),
        ("GCOUNT", "2", "GCOUNT"),
        ("TFIELDS", "3", "TFORM3"),
        ("TFIELDS", "1000", "TFIELDS"),
        ("TFORM1", "'99999999999K'", "bytes wide"),
        ("TFORM1", "'Y       '", "column 1"),
        ("TFORM1", "17", "TFORM1"),
        ("BITPIX", "16", "BITPIX"),
        ("BITPIX", "8.0", "BITPIX"),
        ("XTENSION", "42", "XTENSION"),
    ];
    for (keyword, value, expected) in lies {
        let mut bytes = TestCoadd::default().bytes();
        replace_card(&mut bytes, 2880, keyword, value);
        let text = in_full(&refusal_of_bytes(&bytes));
        assert!(text.contains(expected) && text.contains("HDU 1 (FIBERMAP)"), "{keyword} = {value}: {text}");
    }
}

#[test]
fn a_card_given_twice_or_in_an_odd_form_is_refused() {
    let cases = [("BITPIX", "8", "BITPIX"), ("naxis1", "12", "NAXIS1"), ("TFORM1", "'K       '", "TFORM1")];
    for (keyword, value, expected) in cases {
        let mut file = FitsBytes::new(&[]);
        file.table("FIBERMAP", &[TestColumn::i64("TARGETID", &[1])], &[], &[(keyword, value)]);
        let text = in_full(&scanned(&file.0).1.unwrap_err());
        assert!(text.contains(expected), "{keyword}: {text}");
    }
}

#[test]
fn a_header_without_end_is_refused_in_bounded_reading() {
    let mut endless = FitsBytes::new(&[]).0;
    endless.truncate(80 * 3);
    endless.resize(2880 * 4000, b' ');
    let text = in_full(&scanned(&endless).1.unwrap_err());
    assert!(text.contains("HDU 0: the header is longer than 2880000 bytes"), "{text}");
    endless.truncate(2880 * 3);
    let text = in_full(&scanned(&endless).1.unwrap_err());
    assert!(text.contains("ends inside the header"), "{text}");
}

#[test]
fn more_hdus_than_allowed_are_refused() {
    let mut file = FitsBytes::new(&[]);
    (0..1000).for_each(|_| {
        file.image("", 8, &[], &[], &[]);
    });
    let text = in_full(&scanned(&file.0).1.unwrap_err());
    assert!(text.contains("more than 1000 HDUs"), "{text}");
}

#[test]
fn bytes_after_the_last_hdu_must_be_filler() {
    let coadd = TestCoadd::default().bytes();
    let padded = [coadd.clone(), vec![0; 700]].concat();
    assert!(scanned(&padded).1.is_ok());
    let text = in_full(&scanned(&[coadd, b"trailing".repeat(500)].concat()).1.unwrap_err());
    assert!(text.contains("not an extension header"), "{text}");
}
