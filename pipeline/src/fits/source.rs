//! Opening a file: plain or gzip, checked from end to end before anything is read from it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::FitsError;
use super::prescan::{BLOCK_BYTES, HduInfo, ReadAt, ScanFault, ScanLimits, scan};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const COPY_BYTES: usize = 1 << 18;

/// How a file is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// Bounds of the header scan.
    pub scan: ScanLimits,
    /// A gzip file may not inflate to more than this.
    pub max_inflated_bytes: u64,
    /// Where inflated copies go, without a name; the system's folder by default.
    pub temp_dir: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { scan: ScanLimits::default(), max_inflated_bytes: 16 << 30, temp_dir: None }
    }
}

/// An open file whose headers passed the scan.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    hdus: Vec<HduInfo>,
}

impl Source {
    /// Opens and scans `path`; a gzip file is recognised by its content and inflated to an
    /// unnamed temporary file.
    ///
    /// The name is never interpreted: brackets, `!` or `://` in it are only characters.
    ///
    /// # Errors
    /// [`FitsError`] where the file is not regular, not FITS, malformed, truncated or too large.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, FitsError> {
        let path = path.as_ref().to_owned();
        let io_err = |action| {
            let path = path.clone();
            move |source| FitsError::Io { path, action, source }
        };
        // Opening a pipe would wait for a writer: look first.
        let metadata = fs_err::metadata(&path).map_err(io_err("cannot be read"))?;
        if !metadata.is_file() {
            return Err(FitsError::NotAFile { path });
        }
        let (file, _) = fs_err::File::open(&path).map_err(io_err("cannot be opened"))?.into_parts();
        let size = file.size().map_err(io_err("its size cannot be read"))?;
        if size == 0 {
            return Err(FitsError::Empty { path });
        }
        let mut start = [0; GZIP_MAGIC.len()];
        let gzip = size > 2 && {
            file.read_exact_at(&mut start, 0).map_err(io_err("cannot be read"))?;
            start == GZIP_MAGIC
        };
        let file = if gzip { inflate(&path, file, options)? } else { file };
        let hdus = scan(&file, &options.scan).map_err(|source| {
            let path = path.clone();
            if matches!(source.fault, ScanFault::NotFits) {
                FitsError::NotFits { path }
            } else {
                FitsError::Scan { path, source }
            }
        })?;
        let file = whole_blocks(&path, file, options)?;
        Ok(Self { path, file, hdus })
    }

    /// The path as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All HDUs, in file order.
    pub fn hdus(&self) -> &[HduInfo] {
        &self.hdus
    }

    /// The HDU of this EXTNAME: the exact spelling first, then regardless of case.
    pub fn find(&self, extname: &str) -> Option<&HduInfo> {
        let named = |test: &dyn Fn(&str) -> bool| {
            self.hdus.iter().find(|hdu| hdu.extname.as_deref().is_some_and(test))
        };
        named(&|name| name == extname).or_else(|| named(&|name| name.eq_ignore_ascii_case(extname)))
    }

    /// The HDU of this EXTNAME.
    ///
    /// # Errors
    /// [`FitsError::MissingHdu`].
    pub fn require(&self, extname: &str) -> Result<&HduInfo, FitsError> {
        self.find(extname)
            .ok_or_else(|| FitsError::MissingHdu { path: self.path.clone(), extname: extname.to_owned() })
    }

    /// The (inflated) file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// Inflates a gzip file of one or more members.
fn inflate(path: &Path, compressed: File, options: &OpenOptions) -> Result<File, FitsError> {
    let gzip_err = |source| FitsError::Gzip { path: path.to_owned(), source };
    let mut input = BufReader::with_capacity(COPY_BYTES, compressed);
    let mut output = Scratch::create(path, options)?;
    loop {
        let mut member = GzDecoder::new(&mut input);
        output.copy_from(&mut member, gzip_err)?;
        let rest = input.fill_buf().map_err(gzip_err)?;
        if rest.is_empty() {
            break;
        }
        if !rest.starts_with(&GZIP_MAGIC) {
            only_zeros(&mut input).map_err(gzip_err)?;
            break;
        }
    }
    Ok(output.file)
}

/// Padding after the last member is allowed, anything else is not.
fn only_zeros(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        if buffer.iter().any(|&b| b != 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the last gzip member"));
        }
        let length = buffer.len();
        input.consume(length);
    }
}

/// cfitsio reads whole blocks: a file whose last block is unpadded gets a padded, unnamed copy.
fn whole_blocks(path: &Path, mut file: File, options: &OpenOptions) -> Result<File, FitsError> {
    let io_err = |source| FitsError::Io { path: path.to_owned(), action: "cannot be read", source };
    let size = file.size().map_err(io_err)?;
    let padding = size.next_multiple_of(BLOCK_BYTES) - size;
    if padding == 0 {
        return Ok(file);
    }
    let mut output = Scratch::create(path, options)?;
    file.seek(SeekFrom::Start(0)).map_err(io_err)?;
    output.copy_from(&mut file, io_err)?;
    output.copy_from(&mut io::repeat(0).take(padding), io_err)?;
    Ok(output.file)
}

/// An unnamed temporary file of bounded size.
struct Scratch<'a> {
    path: &'a Path,
    file: File,
    room: u64,
    limit: u64,
}

impl<'a> Scratch<'a> {
    fn create(path: &'a Path, options: &OpenOptions) -> Result<Self, FitsError> {
        let file = match &options.temp_dir {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let file = file.map_err(|source| FitsError::Io {
            path: path.to_owned(),
            action: "a temporary file for its plain copy cannot be made",
            source,
        })?;
        // A padded copy of a file just below the limit may exceed it by less than a block.
        let limit = options.max_inflated_bytes;
        Ok(Self { path, file, room: limit.next_multiple_of(BLOCK_BYTES), limit })
    }

    fn copy_from(
        &mut self,
        input: &mut impl Read,
        read_err: impl Fn(io::Error) -> FitsError,
    ) -> Result<(), FitsError> {
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let n = match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(read_err(err)),
            };
            self.room = self
                .room
                .checked_sub(n as u64)
                .ok_or_else(|| FitsError::TooLarge { path: self.path.to_owned(), limit: self.limit })?;
            self.file.write_all(&buffer[..n]).map_err(|source| FitsError::Io {
                path: self.path.to_owned(),
                action: "its plain copy cannot be written",
                source,
            })?;
        }
    }
}
