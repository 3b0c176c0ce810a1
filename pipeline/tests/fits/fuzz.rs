//! Damaged files: the scan in this process, scan and cfitsio in a child of bounded memory.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use specmill::fits::prescan::{HduInfo, HduKind, ScanLimits, scan};
use specmill::fits::{
    CatalogColumns, CoaddBatch, CoaddFile, OpenOptions, Source, Want, read_redrock, read_redshift_catalog,
    read_table,
};

use crate::fits_bytes::{FitsBytes, MaskForm, TARGETIDS, TestCoadd, TestColumn, gzip};
use crate::real::real_data;

/// What a child may use at most.
const PEAK_LIMIT_KIB: u64 = 512 << 10;
const FOLDER_VARIABLE: &str = "SPECMILL_FUZZ_FOLDER";
/// More damaged files than usual: a number of rounds.
const ROUNDS_VARIABLE: &str = "SPECMILL_FUZZ_ROUNDS";
const FILES_PER_ROUND: u64 = 300;

/// How many files [`intact_files`] gives.
const INTACT_FILES: usize = 5;

/// Intact files of every layout the reader knows.
pub(crate) fn intact_files() -> Vec<Vec<u8>> {
    let coadds = [MaskForm::Unsigned, MaskForm::Signed, MaskForm::Tiles].map(|mask| {
        let scores =
            Some(vec![TestColumn::i64("TARGETID", &TARGETIDS), TestColumn::f32("TSNR2_LRG", &[1.0; 5])]);
        TestCoadd { mask, scores, ..TestCoadd::default() }.bytes()
    });
    let mut files = coadds.to_vec();
    files.push(redshift_file());
    files.push(gzip(&files[0]));
    files
}

/// A redshift table with every kind of column, a heap and TNULL.
fn redshift_file() -> Vec<u8> {
    let descriptor = |length: u32, start: u32| [length.to_be_bytes(), start.to_be_bytes()].concat();
    let columns = [
        TestColumn::i64("TARGETID", &TARGETIDS).with("TNULL", "999999"),
        TestColumn::f64("Z", &[0.1, 0.2, 0.3, 0.4, 0.5]),
        TestColumn::new("COEFF", "10D", vec![vec![0; 80]; 5]).with("TDIM", "'(10)    '"),
        TestColumn::new("ZWARN", "I", vec![vec![0, 4]; 5]).with("TZERO", "32768").with("TSCAL", "1"),
        TestColumn::new("SPECTYPE", "1PA(6)", (0..5).map(|i| descriptor(3, 3 * i)).collect()),
        TestColumn::text("SUBTYPE", 20, 0, &["", "A", "B", "", "C"]),
        TestColumn::new("GOOD", "L", [b"T", b"F", b"\0", b"T", b"F"].map(|cell| cell.to_vec()).to_vec()),
    ];
    let mut file = FitsBytes::new(&[]);
    file.table("REDSHIFTS", &columns, b"QSOQSOQSOQSOQSO", &[]);
    file.0
}

/// A seeded stream of numbers (Steele et al. 2014, splitmix64).
pub(crate) struct Stream(pub(crate) u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

/// Values that have broken readers.
const VALUES: [&str; 22] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "12",
    "40",
    "255",
    "999",
    "1000",
    "65536",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "1E30",
    "T",
    "'1PE(9999999)'",
    "'40000000000A'",
    "'GZIP_2  '",
    "''",
];

/// Damages a file in one of several ways, several times.
pub(crate) fn damage(file: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=stream.below(3) {
        match stream.below(8) {
            0 => bytes.truncate(stream.below(bytes.len().max(1))),
            1 => flip_anywhere(&mut bytes, stream),
            2 => flip_in_data(&mut bytes, stream),
            3 => copy_card(&mut bytes, stream),
            _ => rewrite_card(&mut bytes, stream),
        }
    }
    bytes
}

/// Damages values, and cards that say how to read them, but neither sizes nor places: most such files pass the scan.
pub(crate) fn damage_values(file: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let Some(end) = (0..bytes.len() / 80).rfind(|&i| bytes[80 * i..].starts_with(b"END     ")) else {
        return bytes;
    };
    let data = (80 * (end + 1)).next_multiple_of(2880);
    for _ in 0..=stream.below(16) {
        if data < bytes.len() {
            let at = data + stream.below(bytes.len() - data);
            bytes[at] = stream.next().to_le_bytes()[0];
        }
    }
    let mut cards = cards_of(&bytes);
    let reading = ["TNULL", "TSCAL", "TZERO", "TDIM", "TUNIT", "TTYPE", "TDISP", "EXTNAME"];
    cards.retain(|&at| reading.iter().any(|keyword| bytes[at..].starts_with(keyword.as_bytes())));
    if !cards.is_empty() && stream.below(2) == 0 {
        rewrite_at(&mut bytes, cards[stream.below(cards.len())], stream);
    }
    bytes
}

fn flip_anywhere(bytes: &mut [u8], stream: &mut Stream) {
    for _ in 0..=stream.below(8) {
        if !bytes.is_empty() {
            let at = stream.below(bytes.len());
            bytes[at] = stream.next().to_le_bytes()[0];
        }
    }
}

/// Descriptors, heaps and pixels: the bytes after a header.
fn flip_in_data(bytes: &mut [u8], stream: &mut Stream) {
    let ends: Vec<usize> =
        (0..bytes.len() / 80).filter(|&i| bytes[80 * i..].starts_with(b"END     ")).collect();
    if ends.is_empty() {
        return;
    }
    let data = (80 * (ends[stream.below(ends.len())] + 1)).next_multiple_of(2880);
    for _ in 0..4 {
        if let Some(byte) = bytes.get_mut(data + stream.below(64)) {
            *byte = stream.next().to_le_bytes()[0];
        }
    }
}

fn cards_of(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len() / 80).map(|i| 80 * i).filter(|&at| bytes[at + 8..].starts_with(b"= ")).collect()
}

fn rewrite_card(bytes: &mut [u8], stream: &mut Stream) {
    let cards = cards_of(bytes);
    if cards.is_empty() {
        return;
    }
    let at = cards[stream.below(cards.len())];
    rewrite_at(bytes, at, stream);
}

fn rewrite_at(bytes: &mut [u8], at: usize, stream: &mut Stream) {
    let value = format!("{:>20}{:50}", stream.pick(&VALUES), "");
    bytes[at + 10..at + 80].copy_from_slice(&value.as_bytes()[..70]);
}

fn copy_card(bytes: &mut [u8], stream: &mut Stream) {
    let cards = cards_of(bytes);
    if cards.len() > 1 {
        let (from, to) = (cards[stream.below(cards.len())], cards[stream.below(cards.len())]);
        bytes.copy_within(from..from + 80, to);
    }
}

/// What the scan promises of every HDU it accepts.
pub(crate) fn check_promises(hdus: &[HduInfo], size: u64) {
    for hdu in hdus {
        assert!(hdu.header_offset < hdu.data_offset && hdu.data_offset <= size + 2880);
        assert!(hdu.data_bytes == 0 || hdu.data_offset + hdu.data_bytes <= size);
        if let HduKind::Table(table) | HduKind::CompressedImage { table, .. } = &hdu.kind {
            assert_eq!(table.rows * table.row_bytes + table.pcount, hdu.data_bytes);
            let width: u64 = table.columns.iter().map(|column| column.form.row_bytes().unwrap()).sum();
            assert_eq!(width, table.row_bytes);
        }
    }
    for pair in hdus.windows(2) {
        assert!(pair[1].header_offset >= pair[0].data_offset + pair[0].data_bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_keeps_its_promises_on_damaged_files(seed in any::<u64>(), which in 0_usize..4) {
        let files = [
            TestCoadd::default().bytes(),
            TestCoadd { mask: MaskForm::Tiles, ..TestCoadd::default() }.bytes(),
            redshift_file(),
            FitsBytes::new(&[]).0,
        ];
        let bytes = damage(&files[which], &mut Stream(seed));
        if let Ok(hdus) = scan(bytes.as_slice(), &ScanLimits::default()) {
            check_promises(&hdus, bytes.len() as u64);
        }
    }

    #[test]
    fn the_scan_keeps_its_promises_on_noise(noise in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let mut bytes = b"SIMPLE  =                    T".to_vec();
        bytes.extend_from_slice(&noise);
        for bytes in [noise.as_slice(), bytes.as_slice()] {
            if let Ok(hdus) = scan(bytes, &ScanLimits::default()) {
                check_promises(&hdus, bytes.len() as u64);
            }
        }
    }
}

/// Reads everything that can be read of a file; gives how much that was.
fn read_everything(path: &Path) -> usize {
    let mut read = 0;
    if let Ok(mut coadd) = CoaddFile::open(path) {
        read += usize::from(coadd.fibermap().is_ok());
        let mut batch = CoaddBatch::default();
        let rows = coadd.n_rows();
        for range in [0..rows, 0..rows.min(1), rows / 2..rows] {
            read += usize::from(coadd.read_rows(range, &mut batch).is_ok());
        }
    }
    read += usize::from(read_redrock(path).is_ok());
    read += usize::from(read_redshift_catalog(path, &CatalogColumns::default()).is_ok());
    let Ok(source) = Source::open(path, &OpenOptions::default()) else { return read };
    for hdu in source.hdus() {
        let HduKind::Table(table) = &hdu.kind else { continue };
        for column in table.columns.iter().take(40) {
            for want in [Want::I64, Want::F64, Want::F32, Want::Text, Want::Logical] {
                read += usize::from(read_table(&source, hdu, &[(column.name.as_str(), want)]).is_ok());
            }
        }
    }
    read
}

#[expect(clippy::disallowed_methods, reason = "the parent speaks to its child through the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Peak resident memory of this process, KiB.
pub(crate) fn peak_kib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// In a child: reads every file of the folder it was given. By itself: reads the intact files.
#[test]
fn child_reads_every_file_of_its_folder() {
    let own = tempfile::TempDir::new().unwrap();
    let given = variable(FOLDER_VARIABLE);
    if given.is_none() {
        for (i, bytes) in intact_files().iter().enumerate() {
            fs_err::write(own.path().join(i.to_string()), bytes).unwrap();
        }
    }
    let folder = given.as_deref().map_or(own.path(), Path::new);
    let mut paths: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let progress = folder.with_extension("progress");
    for path in paths {
        fs_err::write(&progress, path.display().to_string()).unwrap();
        let read = read_everything(&path);
        assert!(given.is_some() || read > 4, "{}: {read}", path.display());
    }
    fs_err::remove_file(&progress).unwrap();
    if given.is_some() {
        fs_err::write(folder.with_extension("peak"), peak_kib().to_string()).unwrap();
    }
}

/// Lets a child read a folder of damaged files.
fn run_child(folder: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fits::fuzz::child_reads_every_file_of_its_folder", "--test-threads=1"])
        .env(FOLDER_VARIABLE, folder)
        .output()
        .unwrap();
    let at = fs_err::read_to_string(folder.with_extension("progress")).unwrap_or_default();
    assert!(
        output.status.success(),
        "{} at {at}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    let peak: u64 = fs_err::read_to_string(folder.with_extension("peak")).unwrap().parse().unwrap();
    assert!(peak <= PEAK_LIMIT_KIB, "peak memory {peak} KiB");
}

#[test]
fn no_damaged_file_kills_the_reader_or_fills_its_memory() {
    let mut files = intact_files();
    if let Some(path) =
        real_data("tree/spectro/redux/iron/tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits")
    {
        files.push(fs_err::read(path).unwrap());
    }
    let rounds: u64 = variable(ROUNDS_VARIABLE).map_or(1, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let folder = tempfile::TempDir::new().unwrap();
        let inner = folder.path().join("files");
        fs_err::create_dir_all(&inner).unwrap();
        for i in 0..FILES_PER_ROUND {
            let seed = round * FILES_PER_ROUND + i;
            let mut stream = Stream(seed);
            // The large genuine file takes its turn less often.
            let which = if seed % 10 == 9 { files.len() - 1 } else { stream.below(INTACT_FILES) };
            let name = format!("{seed:08}.fits");
            fs_err::write(inner.join(name), damage(&files[which], &mut stream)).unwrap();
        }
        run_child(&inner);
    }
}
