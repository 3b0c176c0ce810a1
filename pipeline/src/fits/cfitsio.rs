//! The only place that calls cfitsio.
//!
//! Every HDU that is read here passed the scan, and what cfitsio makes of its header is compared
//! with what the scan made of it before a value is fetched: a header that two readers understand
//! differently is refused.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fitsio::sys;

use super::FitsError;
use super::layout::{Column, HduInfo, HduKind, ImageInfo, TableInfo};
use super::source::Source;
use super::tform::ElementKind;

/// cfitsio's lists of open files and of drivers are global: opening and closing take turns.
static OPENING: Mutex<()> = Mutex::new(());

const READONLY: c_int = 0;
const TINT: c_int = 31;
const TUINT: c_int = 30;
const TFLOAT: c_int = 42;
const TLONGLONG: c_int = 81;
const TDOUBLE: c_int = 82;
/// FLEN_STATUS: cfitsio's status texts are at most this long.
const STATUS_CHARS: usize = 31;
/// Signed masks pass through a buffer of this many pixels.
const SIGNED_RUN: usize = 1 << 16;

/// The version that the linked cfitsio gives itself.
pub(crate) fn library_version() -> String {
    let mut version = 0.0;
    // SAFETY: writes one number.
    unsafe { sys::ffvers(&mut version) };
    version.to_string()
}

/// An open cfitsio file.
pub(super) struct Handle {
    raw: NonNull<sys::fitsfile>,
    path: PathBuf,
    current: Option<usize>,
}

// SAFETY: a fitsfile is tied to no thread; cfitsio is built reentrant, and `&mut self` on every
// read keeps one handle to one thread at a time.
unsafe impl Send for Handle {}

/// Where in a file a call was made, for messages.
struct Place<'a> {
    hdu: &'a HduInfo,
    column: Option<(&'a Column, u64)>,
}

/// Pixel types that images are read into.
pub(super) trait Pixel: Copy {
    /// cfitsio's code of the type.
    const CODE: c_int;
}

impl Pixel for f32 {
    const CODE: c_int = TFLOAT;
}

impl Pixel for f64 {
    const CODE: c_int = TDOUBLE;
}

impl Pixel for u32 {
    const CODE: c_int = TUINT;
}

impl Pixel for i32 {
    const CODE: c_int = TINT;
}

impl Pixel for i64 {
    const CODE: c_int = TLONGLONG;
}

impl Handle {
    /// Opens the file that `source` scanned: the same inode, whatever became of its name.
    pub(super) fn open(source: &Source) -> Result<Self, FitsError> {
        let name = CString::new(format!("/proc/self/fd/{}", source.file().as_raw_fd()))
            .expect("the name is made of digits and slashes");
        let mut raw = ptr::null_mut();
        let mut status = 0;
        let guard = lock();
        // SAFETY: `name` is a NUL-terminated string that outlives the call; `raw` and `status` are
        // valid for writes. ffdkopn takes the name as it is, without the extended syntax.
        unsafe { sys::ffdkopn(&raw mut raw, name.as_ptr(), READONLY, &raw mut status) };
        drop(guard);
        match NonNull::new(raw) {
            Some(raw) if status == 0 => Ok(Self { raw, path: source.path().to_owned(), current: None }),
            _ => Err(FitsError::Cfitsio {
                path: source.path().to_owned(),
                place: "opening".to_owned(),
                status,
                text: status_text(status),
            }),
        }
    }

    /// Reads `out.len()` pixels from the `first`-th on, in file order, scaled by BSCALE and BZERO.
    pub(super) fn read_pixels<T: Pixel>(
        &mut self,
        hdu: &HduInfo,
        first: u64,
        out: &mut [T],
    ) -> Result<(), FitsError> {
        if out.is_empty() {
            return Ok(());
        }
        self.go_to(hdu)?;
        let (mut status, mut any_null) = (0, 0);
        // SAFETY: the handle is open at an image whose shape was compared with the scan's; `out`
        // is valid for writes of `out.len()` values of the type that `T::CODE` names; no null
        // value is given, so none is replaced.
        unsafe {
            sys::ffgpv(
                self.raw.as_ptr(),
                T::CODE,
                to_signed(first) + 1,
                to_signed(out.len() as u64),
                ptr::null_mut(),
                out.as_mut_ptr().cast::<c_void>(),
                &raw mut any_null,
                &raw mut status,
            )
        };
        self.check(status, &Place { hdu, column: None })
    }

    /// Reads 32-bit signed pixels and keeps their bits.
    pub(super) fn read_signed_bits(
        &mut self,
        hdu: &HduInfo,
        first: u64,
        out: &mut [u32],
    ) -> Result<(), FitsError> {
        let mut signed = vec![0_i32; out.len().min(SIGNED_RUN)];
        let mut at = first;
        for run in out.chunks_mut(SIGNED_RUN) {
            let signed = &mut signed[..run.len()];
            self.read_pixels(hdu, at, signed)?;
            for (out, bits) in run.iter_mut().zip(signed.iter()) {
                *out = bits.cast_unsigned();
            }
            at += run.len() as u64;
        }
        Ok(())
    }

    /// Reads one number per row from row `first` on.
    pub(super) fn read_numbers<T: Pixel>(
        &mut self,
        hdu: &HduInfo,
        column: &Column,
        first: u64,
        out: &mut [T],
    ) -> Result<(), FitsError> {
        if out.is_empty() {
            return Ok(());
        }
        self.go_to(hdu)?;
        let (mut status, mut any_null) = (0, 0);
        // SAFETY: the handle is open at a table whose columns were compared with the scan's, this
        // one has one number per row; `out` is valid for writes of `out.len()` values of the type
        // that `T::CODE` names; no null value is given, so TNULL changes nothing.
        unsafe {
            sys::ffgcv(
                self.raw.as_ptr(),
                T::CODE,
                column_number(column),
                to_signed(first) + 1,
                1,
                to_signed(out.len() as u64),
                ptr::null_mut(),
                out.as_mut_ptr().cast::<c_void>(),
                &raw mut any_null,
                &raw mut status,
            )
        };
        self.check(status, &Place { hdu, column: Some((column, first)) })
    }

    /// Reads one logical per row from row `first` on; anything but T and F is null.
    pub(super) fn read_logicals(
        &mut self,
        hdu: &HduInfo,
        column: &Column,
        first: u64,
        out: &mut [Option<bool>],
    ) -> Result<(), FitsError> {
        if out.is_empty() {
            return Ok(());
        }
        self.go_to(hdu)?;
        let mut values: Vec<c_char> = vec![0; out.len()];
        let mut nulls: Vec<c_char> = vec![0; out.len()];
        let (mut status, mut any_null) = (0, 0);
        // SAFETY: as in `read_numbers`; `values` and `nulls` hold one char per row.
        unsafe {
            sys::ffgcfl(
                self.raw.as_ptr(),
                column_number(column),
                to_signed(first) + 1,
                1,
                to_signed(out.len() as u64),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
                &raw mut any_null,
                &raw mut status,
            )
        };
        self.check(status, &Place { hdu, column: Some((column, first)) })?;
        for (out, (value, null)) in out.iter_mut().zip(values.iter().zip(&nulls)) {
            *out = match (value, null) {
                (1, 0) => Some(true),
                (0, 0) => Some(false),
                _ => None,
            };
        }
        Ok(())
    }

    /// Reads `rows` strings of a fixed-width column from row `first` on, cut at the first NUL,
    /// trailing blanks dropped.
    pub(super) fn read_strings(
        &mut self,
        hdu: &HduInfo,
        column: &Column,
        first: u64,
        rows: usize,
        mut sink: impl FnMut(&str),
    ) -> Result<(), FitsError> {
        self.go_to(hdu)?;
        let width =
            usize::try_from(column.form.repeat).map_err(|_| self.disagreement(hdu, "string width"))?;
        if width == 0 {
            (0..rows).for_each(|_| sink(""));
            return Ok(());
        }
        // cfitsio ends each string with a NUL of its own.
        let stride = width + 1;
        let mut bytes: Vec<u8> = vec![0; stride * rows];
        self.fetch_strings(hdu, column, first, stride, &mut bytes)?;
        bytes.chunks_exact(stride).for_each(|cell| sink(&clean_text(cell)));
        Ok(())
    }

    /// Reads the string in one row of a variable-length column.
    pub(super) fn read_varying_string(
        &mut self,
        hdu: &HduInfo,
        column: &Column,
        row: u64,
    ) -> Result<String, FitsError> {
        self.go_to(hdu)?;
        let length = self.check_descriptor(hdu, column, row)?;
        let mut bytes: Vec<u8> = vec![0; length + 1];
        if length > 0 {
            let stride = bytes.len();
            self.fetch_strings(hdu, column, row, stride, &mut bytes)?;
        }
        Ok(clean_text(&bytes))
    }

    /// Lets cfitsio fill one cell of `stride` bytes per row, from row `first` on.
    fn fetch_strings(
        &mut self,
        hdu: &HduInfo,
        column: &Column,
        first: u64,
        stride: usize,
        bytes: &mut [u8],
    ) -> Result<(), FitsError> {
        let mut cells: Vec<*mut c_char> =
            bytes.chunks_exact_mut(stride).map(|cell| cell.as_mut_ptr().cast()).collect();
        let (mut status, mut any_null) = (0, 0);
        // SAFETY: `cells` points to one buffer per row, each of the column's width (compared with
        // cfitsio's, or taken from the row's own descriptor) plus one for the NUL; a null pointer
        // as null value asks for no replacement.
        unsafe {
            sys::ffgcvs(
                self.raw.as_ptr(),
                column_number(column),
                to_signed(first) + 1,
                1,
                to_signed(cells.len() as u64),
                ptr::null_mut(),
                cells.as_mut_ptr(),
                &raw mut any_null,
                &raw mut status,
            )
        };
        self.check(status, &Place { hdu, column: Some((column, first)) })
    }

    /// The length of a variable-length cell, after making sure that it lies in the heap.
    fn check_descriptor(&mut self, hdu: &HduInfo, column: &Column, row: u64) -> Result<usize, FitsError> {
        let (mut length, mut start, mut status) = (0, 0, 0);
        // SAFETY: the handle is open at the table; the three results are valid for writes.
        unsafe {
            sys::ffgdesll(
                self.raw.as_ptr(),
                column_number(column),
                to_signed(row) + 1,
                &raw mut length,
                &raw mut start,
                &raw mut status,
            )
        };
        self.check(status, &Place { hdu, column: Some((column, row)) })?;
        let table = table_of(hdu);
        let heap_bytes =
            table.map_or(0, |table| table.row_bytes * table.rows + table.pcount - table.heap_offset);
        let fits = u64::try_from(length).ok().zip(u64::try_from(start).ok()).and_then(|(length, start)| {
            let end = start.checked_add(column.form.element.bytes_of(length)?)?;
            (end <= heap_bytes).then_some(length)
        });
        fits.and_then(|length| usize::try_from(length).ok()).ok_or_else(|| FitsError::OutsideHeap {
            path: self.path.clone(),
            hdu: hdu.label(),
            column: column.name.clone(),
            row,
        })
    }

    /// Moves to an HDU and compares its layout with the scan's.
    fn go_to(&mut self, hdu: &HduInfo) -> Result<(), FitsError> {
        if self.current == Some(hdu.index) {
            return Ok(());
        }
        self.current = None;
        let number = c_int::try_from(hdu.index + 1).map_err(|_| self.disagreement(hdu, "HDU number"))?;
        let (mut kind, mut status) = (0, 0);
        // SAFETY: the handle is open; both results are valid for writes.
        unsafe { sys::ffmahd(self.raw.as_ptr(), number, &raw mut kind, &raw mut status) };
        self.check(status, &Place { hdu, column: None })?;
        self.compare_offsets(hdu)?;
        match &hdu.kind {
            HduKind::Image(image) => self.compare_image(hdu, image)?,
            HduKind::Table(table) => self.compare_table(hdu, table)?,
            HduKind::CompressedImage { image, algorithm, table } => {
                if !matches!(algorithm.as_str(), "GZIP_1" | "GZIP_2") {
                    return Err(FitsError::Compression {
                        path: self.path.clone(),
                        hdu: hdu.label(),
                        algorithm: algorithm.clone(),
                    });
                }
                self.compare_image(hdu, image)?;
                self.check_tiles(hdu, table)?;
            }
            HduKind::Other { xtension } => {
                return Err(FitsError::WrongKind {
                    path: self.path.clone(),
                    hdu: hdu.label(),
                    wanted: "an image or a binary table",
                    found: format!("an extension of kind {xtension}"),
                });
            }
        }
        self.current = Some(hdu.index);
        Ok(())
    }

    fn compare_offsets(&self, hdu: &HduInfo) -> Result<(), FitsError> {
        let (mut header, mut data, mut end, mut status) = (0, 0, 0, 0);
        // SAFETY: the handle is open; the four results are valid for writes.
        unsafe {
            sys::ffghadll(self.raw.as_ptr(), &raw mut header, &raw mut data, &raw mut end, &raw mut status)
        };
        self.check(status, &Place { hdu, column: None })?;
        if (header, data) == (to_signed(hdu.header_offset), to_signed(hdu.data_offset)) {
            Ok(())
        } else {
            Err(self.disagreement(hdu, "where its data begin"))
        }
    }

    fn compare_image(&self, hdu: &HduInfo, image: &ImageInfo) -> Result<(), FitsError> {
        let (mut naxis, mut bitpix, mut status) = (0, 0, 0);
        // SAFETY: the handle is open; the results are valid for writes.
        unsafe { sys::ffgidm(self.raw.as_ptr(), &raw mut naxis, &raw mut status) };
        // SAFETY: as above.
        unsafe { sys::ffgidt(self.raw.as_ptr(), &raw mut bitpix, &raw mut status) };
        let mut axes = vec![0; image.shape.len()];
        let wanted = c_int::try_from(axes.len()).map_err(|_| self.disagreement(hdu, "the number of axes"))?;
        // SAFETY: the handle is open; `axes` has room for the number of axes asked for.
        unsafe { sys::ffgiszll(self.raw.as_ptr(), wanted, axes.as_mut_ptr(), &raw mut status) };
        self.check(status, &Place { hdu, column: None })?;
        let same = naxis == wanted
            && i64::from(bitpix) == image.bitpix
            && axes.iter().rev().zip(&image.shape).all(|(&theirs, &ours)| theirs == to_signed(ours));
        if same { Ok(()) } else { Err(self.disagreement(hdu, "the image's shape")) }
    }

    fn compare_table(&self, hdu: &HduInfo, table: &TableInfo) -> Result<(), FitsError> {
        let mut status = 0;
        for column in &table.columns {
            let (mut code, mut repeat, mut width) = (0, 0, 0);
            // SAFETY: the handle is open; the results are valid for writes.
            unsafe {
                sys::ffgtclll(
                    self.raw.as_ptr(),
                    column_number(column),
                    &raw mut code,
                    &raw mut repeat,
                    &raw mut width,
                    &raw mut status,
                )
            };
            self.check(status, &Place { hdu, column: Some((column, 0)) })?;
            // Strings are read into cells of `repeat` bytes: cfitsio must not write wider ones.
            let text = column.form.element == ElementKind::Text;
            let varying = column.form.descriptor_bytes.is_some();
            let as_scanned = (code < 0) == varying
                && (varying || repeat == to_signed(column.form.repeat))
                && (!text || varying || width <= repeat.max(1));
            if !as_scanned {
                return Err(self.disagreement(hdu, &format!("the format of column {}", column.name)));
            }
        }
        Ok(())
    }

    /// Every compressed tile must lie in the heap.
    fn check_tiles(&mut self, hdu: &HduInfo, table: &TableInfo) -> Result<(), FitsError> {
        let tiles = table.columns.iter().filter(|column| column.form.descriptor_bytes.is_some());
        for column in tiles {
            for row in 0..table.rows {
                self.check_descriptor(hdu, column, row)?;
            }
        }
        Ok(())
    }

    fn check(&self, status: c_int, place: &Place<'_>) -> Result<(), FitsError> {
        if status == 0 {
            return Ok(());
        }
        let hdu = place.hdu.label();
        let place = match place.column {
            Some((column, row)) => format!("{hdu}: column {}, from row {row} on", column.name),
            None => hdu.to_string(),
        };
        Err(FitsError::Cfitsio { path: self.path.clone(), place, status, text: status_text(status) })
    }

    fn disagreement(&self, hdu: &HduInfo, what: &str) -> FitsError {
        FitsError::Disagreement { path: self.path.clone(), hdu: hdu.label(), what: what.to_owned() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut status = 0;
        let _guard = lock();
        // SAFETY: the handle is open and not used afterwards. A read-only file has nothing to
        // lose, so the status is of no use.
        unsafe { sys::ffclos(self.raw.as_ptr(), &raw mut status) };
    }
}

fn lock() -> MutexGuard<'static, ()> {
    OPENING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn table_of(hdu: &HduInfo) -> Option<&TableInfo> {
    match &hdu.kind {
        HduKind::Table(table) | HduKind::CompressedImage { table, .. } => Some(table),
        HduKind::Image(_) | HduKind::Other { .. } => None,
    }
}

/// Offsets and counts below the file's length, which the system keeps below 2^63.
fn to_signed(n: u64) -> i64 {
    i64::try_from(n).expect("the scan bounds sizes far below 2^63")
}

fn column_number(column: &Column) -> c_int {
    c_int::try_from(column.index + 1).expect("the scan bounds TFIELDS to 999")
}

fn status_text(status: c_int) -> String {
    let mut text: [c_char; STATUS_CHARS] = [0; STATUS_CHARS];
    // SAFETY: `text` has the FLEN_STATUS bytes that ffgerr may write.
    unsafe { sys::ffgerr(status, text.as_mut_ptr()) };
    text.iter().map_while(|&c| u8::try_from(c).ok().filter(|&b| b != 0)).map(char::from).collect()
}

/// Cut at the first NUL, then drop trailing blanks.
fn clean_text(cell: &[u8]) -> String {
    let end = cell.iter().position(|&b| b == 0).unwrap_or(cell.len());
    String::from_utf8_lossy(&cell[..end]).trim_end_matches(' ').to_owned()
}
