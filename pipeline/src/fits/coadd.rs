//! A coadd: the three arms of every target, and who the targets are.

use std::ops::Range;
use std::path::Path;

use specmill_kernels::{ArmBatch, Grid};

use super::cfitsio::Handle;
use super::fibermap::read_fibermap;
use super::header::Value;
use super::layout::{HduInfo, HduKind, ImageInfo};
use super::source::{OpenOptions, Source};
use super::table::table_info;
use super::{Fibermap, FitsError};

/// The arms' names, in the order of every array of three.
const ARMS: [&str; 3] = ["B", "R", "Z"];

/// How far a stored wavelength may be from the grid, Å: rounding noise is 1e-9, the smallest
/// real shift (a heliocentric one) is above 1e-3.
const GRID_TOLERANCE_AA: f64 = 1e-4;

/// Where an arm lies on the combined grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArmLayout {
    /// Index on the combined grid of the arm's first pixel.
    pub first_pixel: usize,
    /// Number of pixels.
    pub n_pixels: usize,
}

/// What the primary header says about the file; anything may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoaddKeywords {
    /// SURVEY.
    pub survey: Option<String>,
    /// PROGRAM.
    pub program: Option<String>,
    /// HPXPIXEL.
    pub hpxpixel: Option<i64>,
    /// HPXNSIDE.
    pub hpxnside: Option<i64>,
    /// HPXNEST, written as a logical or as the string `True`.
    pub hpxnest: Option<bool>,
    /// TILEID.
    pub tileid: Option<i64>,
    /// PETAL, or SPECTRO.
    pub petal: Option<i64>,
    /// NIGHT: for cumulative tiles the last one.
    pub night: Option<i64>,
    /// SPECPROD, from its own card or from DEPNAMnn/DEPVERnn.
    pub specprod: Option<String>,
}

/// Rows of a coadd, in buffers that the next read reuses.
#[derive(Debug, Clone, Default)]
pub struct CoaddBatch {
    /// The rows of the file.
    pub rows: Range<usize>,
    /// Arms b, r, z.
    pub arms: [ArmBatch; 3],
}

/// The HDUs of one arm.
#[derive(Debug)]
struct Arm {
    layout: ArmLayout,
    /// Positions of FLUX, IVAR and MASK among the HDUs; FLUX and IVAR are absent only where the
    /// file has no rows.
    flux: Option<usize>,
    ivar: Option<usize>,
    mask: Option<usize>,
}

/// An open coadd file.
pub struct CoaddFile {
    source: Source,
    handle: Handle,
    keywords: CoaddKeywords,
    n_rows: usize,
    arms: [Option<Arm>; 3],
}

impl CoaddFile {
    /// Opens a coadd and checks its layout: FIBERMAP with TARGETID, at least one arm, every arm on
    /// DESI's wavelength grid, images of one row per target.
    ///
    /// # Errors
    /// [`FitsError`] naming the file, the HDU and what is wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FitsError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// [`Self::open`] with other bounds.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, FitsError> {
        let source = Source::open(path, options)?;
        let keywords = CoaddKeywords::read(&source);
        let rows = count_rows(&source)?;
        let mut handle = Handle::open(&source)?;
        let mut arms = [None, None, None];
        for (arm, name) in arms.iter_mut().zip(ARMS) {
            *arm = open_arm(&source, &mut handle, name, rows)?;
        }
        // No address space is smaller than the file that the scan measured these rows in.
        let n_rows = usize::try_from(rows).unwrap_or(usize::MAX);
        Ok(Self { source, handle, keywords, n_rows, arms })
    }

    /// What the primary header says.
    pub fn keywords(&self) -> &CoaddKeywords {
        &self.keywords
    }

    /// Number of rows, one per target (a target may have several).
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Where arms b, r, z lie on the combined grid; `None` for an arm that the file lacks.
    pub fn arms(&self) -> [Option<ArmLayout>; 3] {
        self.arms.each_ref().map(|arm| arm.as_ref().map(|arm| arm.layout))
    }

    /// The open file.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Who the targets are.
    ///
    /// # Errors
    /// [`FitsError`] where a column has a type that cannot be converted, or reading fails.
    pub fn fibermap(&mut self) -> Result<Fibermap, FitsError> {
        read_fibermap(&self.source, &mut self.handle)
    }

    /// Fills `out` with a range of rows. An absent arm has no pixels; an absent MASK is zero.
    /// RESOLUTION is never touched.
    ///
    /// # Errors
    /// [`FitsError::NoSuchRows`] beyond the end; otherwise what reading reports.
    pub fn read_rows(&mut self, rows: Range<usize>, out: &mut CoaddBatch) -> Result<(), FitsError> {
        if rows.start > rows.end || rows.end > self.n_rows {
            return Err(FitsError::NoSuchRows {
                path: self.source.path().to_owned(),
                first: rows.start,
                end: rows.end,
                n_rows: self.n_rows,
            });
        }
        out.rows = rows.clone();
        for (arm, batch) in self.arms.iter().zip(&mut out.arms) {
            read_arm(&self.source, &mut self.handle, arm.as_ref(), rows.clone(), batch)?;
        }
        Ok(())
    }
}

impl CoaddKeywords {
    /// Reads the keywords of a file that may or may not be a coadd.
    pub fn read(source: &Source) -> Self {
        let Some(primary) = source.hdus().first() else { return Self::default() };
        let header = &primary.header;
        let text = |keyword: &str| {
            header.text(keyword).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let hpxnest = match header.get("HPXNEST") {
            Some(&Value::Logical(nested)) => Some(nested),
            Some(Value::Text(text)) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(Value::Text(text)) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        Self {
            survey: text("SURVEY"),
            program: text("PROGRAM"),
            hpxpixel: header.integer("HPXPIXEL"),
            hpxnside: header.integer("HPXNSIDE"),
            hpxnest,
            tileid: header.integer("TILEID"),
            petal: header.integer("PETAL").or_else(|| header.integer("SPECTRO")),
            night: header.integer("NIGHT"),
            specprod: text("SPECPROD").or_else(|| header.dependency("SPECPROD").map(str::to_owned)),
        }
    }
}

/// The number of targets, after checking all that headers can tell of a coadd.
pub(crate) fn coadd_rows(source: &Source) -> Result<u64, FitsError> {
    let rows = count_rows(source)?;
    for arm in ARMS {
        find_arm(source, arm, rows)?;
    }
    Ok(rows)
}

/// The number of targets; refuses files whose rows are something else.
fn count_rows(source: &Source) -> Result<u64, FitsError> {
    let has_arm = ARMS.iter().any(|arm| source.find(&format!("{arm}_FLUX")).is_some());
    let Some(hdu) = source.find("FIBERMAP") else {
        return Err(if has_arm {
            FitsError::MissingHdu { path: source.path().to_owned(), extname: "FIBERMAP".to_owned() }
        } else {
            no_arm(source)
        });
    };
    let table = table_info(source, hdu)?;
    let has = |name: &str| table.column(name).is_some();
    if !has_arm && table.rows > 0 {
        return Err(no_arm(source));
    }
    if has("FIBERSTATUS") && has("EXPID") && !has("COADD_FIBERSTATUS") {
        return Err(FitsError::PerExposure { path: source.path().to_owned() });
    }
    if !has("TARGETID") {
        let (path, column) = (source.path().to_owned(), "TARGETID".to_owned());
        return Err(FitsError::MissingColumn { path, hdu: hdu.label(), column });
    }
    Ok(table.rows)
}

fn no_arm(source: &Source) -> FitsError {
    let names: Vec<&str> = source.hdus().iter().filter_map(|hdu| hdu.extname.as_deref()).collect();
    let found = if names.is_empty() { "no named HDU".to_owned() } else { names.join(", ") };
    FitsError::NoArm { path: source.path().to_owned(), found }
}

/// The HDUs of one arm, checked as far as headers go.
struct ArmHdus<'a> {
    n_pixels: usize,
    wavelength: &'a HduInfo,
    flux: Option<&'a HduInfo>,
    ivar: Option<&'a HduInfo>,
    mask: Option<&'a HduInfo>,
}

/// Finds the HDUs of one arm; `None` where the file has no FLUX (or no rows and no WAVELENGTH) for it.
fn find_arm<'a>(source: &'a Source, name: &str, n_rows: u64) -> Result<Option<ArmHdus<'a>>, FitsError> {
    let flux = source.find(&format!("{name}_FLUX"));
    let wavelength_name = format!("{name}_WAVELENGTH");
    let wavelength = match (flux, source.find(&wavelength_name)) {
        (None, None) => return Ok(None),
        (None, Some(_)) if n_rows > 0 => return Ok(None),
        (Some(_), None) => return source.require(&wavelength_name).map(|_| None),
        (_, Some(hdu)) => hdu,
    };
    let n_pixels = count_pixels(source, wavelength)?;
    let ivar_name = format!("{name}_IVAR");
    let ivar = source.find(&ivar_name);
    if n_rows > 0 && ivar.is_none() {
        return source.require(&ivar_name).map(|_| None);
    }
    let mask = source.find(&format!("{name}_MASK"));
    for hdu in [flux, ivar, mask].into_iter().flatten() {
        check_shape(source, hdu, n_rows, n_pixels)?;
    }
    if let Some(hdu) = mask {
        check_mask(source, hdu)?;
    }
    Ok(Some(ArmHdus { n_pixels, wavelength, flux, ivar, mask }))
}

/// The pixels of an arm, from the shape of its wavelengths.
fn count_pixels(source: &Source, hdu: &HduInfo) -> Result<usize, FitsError> {
    let shape = &image_info(source, hdu)?.shape;
    let n_pixels = match shape.as_slice() {
        &[n] => usize::try_from(n).ok().filter(|n| (1..=Grid::DESI.n_pixels).contains(n)),
        _ => None,
    };
    let expected = || format!("one axis of 1 to {} pixels", Grid::DESI.n_pixels);
    n_pixels.ok_or_else(|| wrong_shape(source, hdu, &expected(), shape))
}

/// Checks one arm and finds its place on the grid.
fn open_arm(source: &Source, handle: &mut Handle, name: &str, n_rows: u64) -> Result<Option<Arm>, FitsError> {
    let Some(hdus) = find_arm(source, name, n_rows)? else { return Ok(None) };
    let layout = read_layout(source, handle, hdus.wavelength, hdus.n_pixels)?;
    let index = |hdu: Option<&HduInfo>| hdu.map(|hdu| hdu.index);
    Ok(Some(Arm { layout, flux: index(hdus.flux), ivar: index(hdus.ivar), mask: index(hdus.mask) }))
}

fn image_info<'a>(source: &Source, hdu: &'a HduInfo) -> Result<&'a ImageInfo, FitsError> {
    let found = match &hdu.kind {
        HduKind::Image(image) | HduKind::CompressedImage { image, .. } => return Ok(image),
        HduKind::Table(_) => "a binary table".to_owned(),
        HduKind::Other { xtension } => format!("an extension of kind {xtension}"),
    };
    Err(FitsError::WrongKind { path: source.path().to_owned(), hdu: hdu.label(), wanted: "an image", found })
}

fn wrong_shape(source: &Source, hdu: &HduInfo, expected: &str, actual: &[u64]) -> FitsError {
    FitsError::WrongShape {
        path: source.path().to_owned(),
        hdu: hdu.label(),
        expected: expected.to_owned(),
        actual: actual.to_vec(),
    }
}

fn check_shape(source: &Source, hdu: &HduInfo, n_rows: u64, n_pixels: usize) -> Result<(), FitsError> {
    let shape = &image_info(source, hdu)?.shape;
    let empty = n_rows == 0 && (shape.is_empty() || shape.contains(&0));
    if empty || *shape == [n_rows, n_pixels as u64] {
        return Ok(());
    }
    Err(wrong_shape(source, hdu, &format!("[{n_rows}, {n_pixels}]"), shape))
}

/// MASK is 32-bit (or smaller) integers, signed or unsigned by BZERO.
#[expect(clippy::float_cmp, reason = "the offsets are exact powers of two")]
fn check_mask(source: &Source, hdu: &HduInfo) -> Result<(), FitsError> {
    let image = image_info(source, hdu)?;
    let integer = match image.bitpix {
        8 => image.bzero == 0.0,
        16 => image.bzero == 0.0 || image.bzero == 32_768.0,
        32 => image.bzero == 0.0 || image.bzero == 2_147_483_648.0,
        _ => false,
    };
    if integer && image.bscale == 1.0 {
        return Ok(());
    }
    Err(FitsError::WrongKind {
        path: source.path().to_owned(),
        hdu: hdu.label(),
        wanted: "an image of 32-bit integers",
        found: format!("BITPIX {}, BSCALE {}, BZERO {}", image.bitpix, image.bscale, image.bzero),
    })
}

/// Reads an arm's wavelengths and finds its place on the combined grid.
fn read_layout(
    source: &Source,
    handle: &mut Handle,
    hdu: &HduInfo,
    n_pixels: usize,
) -> Result<ArmLayout, FitsError> {
    let mut wave_aa = vec![0.0_f64; n_pixels];
    handle.read_pixels(hdu, 0, &mut wave_aa)?;
    let first_pixel = first_pixel(wave_aa[0], n_pixels);
    let (pixel, offset_aa) = worst_pixel(&wave_aa, first_pixel);
    if offset_aa > GRID_TOLERANCE_AA {
        return Err(FitsError::ShiftedGrid {
            path: source.path().to_owned(),
            hdu: hdu.label(),
            pixel,
            actual_aa: wave_aa[pixel],
            expected_aa: grid_aa(first_pixel + pixel),
        });
    }
    Ok(ArmLayout { first_pixel, n_pixels })
}

/// The nearest place on the grid where `n_pixels` pixels fit.
fn first_pixel(first_aa: f64, n_pixels: usize) -> usize {
    let last_start = Grid::DESI.n_pixels - n_pixels;
    let index = ((first_aa - Grid::DESI.first_aa) / Grid::DESI.step_aa).round();
    // NaN fails the first test and lands on 0, where the comparison of the pixels refuses it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and last_start")]
    #[expect(clippy::cast_precision_loss, reason = "at most 7781")]
    if index > 0.0 { index.min(last_start as f64) as usize } else { 0 }
}

fn grid_aa(pixel: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most 7781")]
    let pixel = pixel as f64;
    Grid::DESI.first_aa + Grid::DESI.step_aa * pixel
}

/// The pixel furthest from the grid, and how far; a NaN is infinitely far.
fn worst_pixel(wave_aa: &[f64], first_pixel: usize) -> (usize, f64) {
    let offset = |(i, &aa): (usize, &f64)| {
        let offset_aa = (aa - grid_aa(first_pixel + i)).abs();
        (i, if offset_aa.is_nan() { f64::INFINITY } else { offset_aa })
    };
    wave_aa
        .iter()
        .enumerate()
        .map(offset)
        .fold((0, 0.0), |worst, next| if next.1 > worst.1 { next } else { worst })
}

/// Reads one arm's rows, or empties the batch where the arm is absent.
fn read_arm(
    source: &Source,
    handle: &mut Handle,
    arm: Option<&Arm>,
    rows: Range<usize>,
    batch: &mut ArmBatch,
) -> Result<(), FitsError> {
    let ArmLayout { first_pixel, n_pixels } =
        arm.map_or(ArmLayout { first_pixel: 0, n_pixels: 0 }, |arm| arm.layout);
    batch.first_pixel = first_pixel;
    batch.n_pixels = n_pixels;
    let n = rows.len() * n_pixels;
    batch.flux_sp.resize(n, 0.0);
    batch.ivar_sp.resize(n, 0.0);
    batch.mask_sp.resize(n, 0);
    let Some(arm) = arm.filter(|_| n > 0) else { return Ok(()) };
    let first = (rows.start * n_pixels) as u64;
    let hdu = |index: Option<usize>| index.map(|index| &source.hdus()[index]);
    if let Some(flux) = hdu(arm.flux) {
        handle.read_pixels(flux, first, &mut batch.flux_sp)?;
    }
    if let Some(ivar) = hdu(arm.ivar) {
        handle.read_pixels(ivar, first, &mut batch.ivar_sp)?;
    }
    match hdu(arm.mask) {
        Some(mask) => read_mask(source, handle, mask, first, &mut batch.mask_sp),
        None => {
            batch.mask_sp.fill(0);
            Ok(())
        }
    }
}

/// Unsigned images as they are; signed ones as the same 32 bits.
fn read_mask(
    source: &Source,
    handle: &mut Handle,
    hdu: &HduInfo,
    first: u64,
    mask: &mut [u32],
) -> Result<(), FitsError> {
    if image_info(source, hdu)?.bzero > 0.0 {
        return handle.read_pixels(hdu, first, mask);
    }
    handle.read_signed_bits(hdu, first, mask)
}
