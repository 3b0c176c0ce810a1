//! The files that fuzzing starts from, and that other readers are compared on: every format there is.

use std::path::{Path, PathBuf};

use crate::fits::fuzz::variable;
use crate::fits_bytes::{FitsBytes, TestColumn};

/// Set to write the committed files anew.
const WRITE_VARIABLE: &str = "SPECMILL_WRITE_CORPUS";

/// A heap in the making.
#[derive(Default)]
pub(crate) struct Heap(pub(crate) Vec<u8>);

impl Heap {
    /// A column of cells, each its elements' bytes and their number; `P` or `Q` by its format.
    pub(crate) fn column(&mut self, name: &str, tform: &str, cells: &[(&[u8], usize)]) -> TestColumn {
        let mut descriptors = Vec::new();
        for (bytes, n) in cells {
            let at = if bytes.is_empty() { 0 } else { self.0.len() };
            self.0.extend_from_slice(bytes);
            descriptors.push(descriptor(tform, *n, at));
        }
        TestColumn::new(name, tform, descriptors)
    }
}

/// Elements and offset as a `P` or `Q` column stores them.
pub(crate) fn descriptor(tform: &str, n: usize, at: usize) -> Vec<u8> {
    if tform.contains('Q') {
        [n, at].iter().flat_map(|&v| u64::try_from(v).unwrap().to_be_bytes()).collect()
    } else {
        [n, at].iter().flat_map(|&v| u32::try_from(v).unwrap().to_be_bytes()).collect()
    }
}

fn cells<const N: usize>(rows: [&[u8]; N]) -> Vec<Vec<u8>> {
    rows.iter().map(|row| row.to_vec()).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

fn table(columns: &[TestColumn], heap: &[u8]) -> Vec<u8> {
    let mut file = FitsBytes::new(&[]);
    file.table("TABLE", columns, heap, &[]);
    file.0
}

/// One of each kind in a row.
pub(crate) fn scalars() -> Vec<u8> {
    let pair = |re: f32, im: f32| floats(&[re, im]);
    let double_pair = |re: f64, im: f64| doubles(&[re, im]);
    let columns = [
        TestColumn::new("LOGICAL", "L", cells([b"T", b"F", b"\0"])),
        TestColumn::new("BIT", "X", cells([b"\x80", b"\0", b"\xff"])),
        TestColumn::new("BYTE", "B", cells([b"\0", b"\x3f", b"\xff"])),
        TestColumn::new("SHORT", "1I", [i16::MIN, 0, i16::MAX].map(|v| v.to_be_bytes().to_vec()).to_vec()),
        TestColumn::i32("INT", &[i32::MIN, -1, i32::MAX]).with("TUNIT", "'km s-1  '"),
        TestColumn::i64("LONG", &[-2_713_437, 616_088_619_186_127_404, i64::MIN]),
        TestColumn::f32("FLOAT", &[1.5, f32::NAN, f32::NEG_INFINITY]).with("TUNIT", "'mas yr^-1'"),
        TestColumn::f64("DOUBLE", &[-0.0, 1e-310, f64::NAN]).with("TUNIT", "'furlong '"),
        TestColumn::text("TEXT", 6, 0, &["GALAXY", "", "QSO"]),
        TestColumn::new("COMPLEX", "C", vec![pair(1.0, -2.0), pair(0.0, f32::INFINITY), pair(3.5, 0.25)]),
        TestColumn::new(
            "DCOMPLEX",
            "M",
            vec![double_pair(1.0, -2.0), double_pair(0.1, 0.2), double_pair(3.5, -0.0)],
        ),
    ];
    table(&columns, &[])
}

/// Several in a row, with and without TDIM.
pub(crate) fn vectors() -> Vec<u8> {
    let grid: Vec<f32> = (0..6_u8).map(f32::from).collect();
    let ten: Vec<f64> = (0..10_u8).map(|v| f64::from(v) / 3.0).collect();
    let columns = [
        TestColumn::new("LOGICALS", "3L", cells([b"TF\0", b"FFT"])),
        TestColumn::new("BITS", "11X", cells([b"\xa5\xe0", b"\x00\x20"])),
        TestColumn::new("BYTES", "3B", cells([b"\x01\x02\xff", b"\0\0\0"])),
        TestColumn::new("SHORTS", "2I", cells([b"\x80\x00\x00\x01", b"\x7f\xff\xff\xff"])),
        TestColumn::new("LONGS", "2K", vec![[7_i64, -7].iter().flat_map(|v| v.to_be_bytes()).collect(); 2]),
        TestColumn::new("COEFF", "10D", vec![doubles(&ten); 2]).with("TDIM", "'(10)    '"),
        TestColumn::new("GRID", "6E", vec![floats(&grid); 2]).with("TDIM", "'( 2, 3) '"),
        TestColumn::new("PAIRS", "2C", vec![floats(&[1.0, 2.0, 3.0, 4.0]); 2]),
        TestColumn::new("NAMES", "12A4", cells([b"ab  cd\0\0    ", b"efghijklmnop"])),
        TestColumn::new("CODES", "9A", cells([b"abcd\0\0f  ", b"\0\0\0\0\0\0\0\0\0"]))
            .with("TDIM", "'(3,3)   '"),
    ];
    table(&columns, &[])
}

/// Cells in the heap, the empty ones included.
pub(crate) fn heap(letter: char) -> Vec<u8> {
    let mut heap = Heap::default();
    let form = |element: &str| format!("1{letter}{element}");
    let columns = [
        TestColumn::i64("TARGETID", &[1, 2, 3]),
        heap.column("LOGICALS", &form("L(3)"), &[(b"TF\0", 3), (b"", 0), (b"T", 1)]),
        heap.column("BITS", &form("X(11)"), &[(b"\xa5\xe0", 11), (b"\x80", 1), (b"", 0)]),
        heap.column("BYTES", &form("B(2)"), &[(b"\x01\xff", 2), (b"\0", 1), (b"", 0)]),
        heap.column("SHORTS", &form("I(2)"), &[(b"", 0), (b"\x80\x00\x00\x01", 2), (b"\0\x05", 1)]),
        heap.column("INTS", &form("J(1)"), &[(b"\x80\0\0\0", 1), (b"", 0), (b"\0\0\0\x05", 1)]),
        heap.column(
            "LONGS",
            &form("K(1)"),
            &[(&(-5_i64).to_be_bytes(), 1), (b"", 0), (&7_i64.to_be_bytes(), 1)],
        ),
        heap.column(
            "FLOATS",
            &form("E(3)"),
            &[(&floats(&[1.0, f32::NAN, 3.0]), 3), (b"", 0), (&floats(&[4.0]), 1)],
        ),
        heap.column("DOUBLES", &form("D(2)"), &[(b"", 0), (b"", 0), (&doubles(&[0.1, 0.2]), 2)]),
        heap.column("TEXT", &form("A(6)"), &[(b"GALAXY", 6), (b"", 0), (b"QSO \0", 5)]),
        heap.column("PAIRS", &form("C(1)"), &[(&floats(&[1.0, 2.0]), 1), (b"", 0), (b"", 0)]),
        heap.column("DPAIRS", &form("M(1)"), &[(&doubles(&[1.0, 2.0]), 1), (b"", 0), (b"", 0)]),
    ];
    let bytes = heap.0;
    table(&columns, &bytes)
}

/// The other signedness, real scales, and whole offsets.
pub(crate) fn scaled() -> Vec<u8> {
    let column = |name: &str, tform: &str, rows: [&[u8]; 3]| TestColumn::new(name, tform, cells(rows));
    let columns = [
        column("I8", "B", [b"\0", b"\x80", b"\xff"]).with("TZERO", "-128"),
        column("U16", "I", [b"\x80\0", b"\0\0", b"\x7f\xff"]).with("TZERO", "32768"),
        column("U32", "J", [b"\x80\0\0\0", b"\0\0\0\0", b"\x7f\xff\xff\xff"]).with("TZERO", "2147483648"),
        TestColumn::i64("U64", &[i64::MIN, 0, i64::MAX])
            .with("TZERO", "9223372036854775808")
            .with("TSCAL", "1"),
        TestColumn::i32("MOVED", &[-5, 0, i32::MAX]).with("TZERO", "1000"),
        column("REAL", "I", [b"\0\x01", b"\0\x02", b"\xff\xff"]).with("TSCAL", "0.5").with("TZERO", "10"),
        TestColumn::f32("SCALED", &[1.0, f32::NAN, -2.0]).with("TSCAL", "2.0"),
        column("VECTOR", "2B", [b"\x01\x02", b"\x03\x04", b"\x05\x06"]).with("TSCAL", "0.25"),
    ];
    table(&columns, &[])
}

/// TNULL cards: those of masked tables, those that mean it, those that cannot.
pub(crate) fn tnull() -> Vec<u8> {
    let shorts = |values: [i16; 4]| values.map(|v| v.to_be_bytes().to_vec()).to_vec();
    let columns = [
        TestColumn::i64("TARGETID", &[999_999, 39_627_866_878_511_337, -1, 0]).with("TNULL", "999999"),
        TestColumn::i32("JUNK_J", &[999_999, 1, 2, 999_999]).with("TNULL", "999999"),
        TestColumn::new("JUNK_I", "I", shorts([16_959, 1, 2, 3])).with("TNULL", "16959"),
        TestColumn::new("JUNK_B", "B", cells([b"\x3f", b"\x3f", b"\x3f", b"\x01"])).with("TNULL", "63"),
        TestColumn::i32("MEANT", &[-99, 1, -99, 3]).with("TNULL", "-99"),
        TestColumn::new("OUTSIDE", "I", shorts([1, 16_959, 3, 4])).with("TNULL", "999999"),
        TestColumn::new("TEXTUAL", "I", shorts([1, 2, 3, 4])).with("TNULL", "'2       '"),
        TestColumn::new("UNSIGNED", "I", shorts([-32_768, 5, 0, 1]))
            .with("TZERO", "32768")
            .with("TNULL", "-32768"),
    ];
    table(&columns, &[])
}

/// Padding, inner NULs, UTF-8 and what is not.
pub(crate) fn strings() -> Vec<u8> {
    let columns = [
        TestColumn::text("NULS", 6, 0, &["QSO", "", "GALAXY"]),
        TestColumn::text("BLANKS", 6, b' ', &["QSO", "", "GALAXY"]),
        TestColumn::new("INNER", "6A", cells([b"ab\0cd ", b"\0xyz  ", b" a \0\0\0"])),
        TestColumn::new("ACCENTS", "6A", cells(["café".as_bytes(), b"", b"abcde"]))
            .with("TCOMM", "'names of things'"),
    ];
    let mut columns = columns.to_vec();
    columns[3].cells.iter_mut().for_each(|cell| cell.resize(6, 0));
    table(&columns, &[])
}

/// A string in another encoding in the last row.
pub(crate) fn latin1() -> Vec<u8> {
    let columns = [
        TestColumn::i64("ID", &[1, 2, 3]),
        TestColumn::new("NAME", "4A", cells([b"abc\0", b"de\0\0", b"caf\xe9"])),
    ];
    table(&columns, &[])
}

/// Names that are absent, double or differ in case alone; formats in lower case; cells of nothing.
pub(crate) fn oddities() -> Vec<u8> {
    let none = vec![Vec::new(); 2];
    let columns = [
        TestColumn::new("", "k", vec![1_i64.to_be_bytes().to_vec(); 2]),
        TestColumn::new("X", "1j", vec![2_i32.to_be_bytes().to_vec(); 2]),
        TestColumn::new("X", "D", vec![3_f64.to_be_bytes().to_vec(); 2]),
        TestColumn::new("x", "e", vec![4_f32.to_be_bytes().to_vec(); 2]),
        TestColumn::new("NOTHING", "0E", none.clone()),
        TestColumn::new("NO_TEXT", "0A", none.clone()),
        TestColumn::new("NO_CELLS", "0PE(5)", none),
        TestColumn::new("BAD_TDIM", "4A", vec![b"abcd".to_vec(); 2]).with("TDIM", "'(3,7)   '"),
    ];
    table(&columns, &[])
}

/// No rows.
pub(crate) fn empty() -> Vec<u8> {
    let column = |name: &str, tform: &str| TestColumn::new(name, tform, Vec::new());
    let mut file = FitsBytes::new(&[]);
    let structure = [
        ("XTENSION", "'BINTABLE'"),
        ("BITPIX", "8"),
        ("NAXIS", "2"),
        ("NAXIS1", "26"),
        ("NAXIS2", "0"),
        ("PCOUNT", "0"),
        ("GCOUNT", "1"),
        ("TFIELDS", "3"),
    ];
    let columns = [column("TARGETID", "K"), column("VECTOR", "2E"), column("NAMES", "10A5")];
    let cards: Vec<(String, String)> = columns
        .iter()
        .enumerate()
        .flat_map(|(i, c)| {
            [
                (format!("TTYPE{}", i + 1), format!("'{:<8}'", c.name)),
                (format!("TFORM{}", i + 1), format!("'{:<8}'", c.tform)),
            ]
        })
        .collect();
    let cards: Vec<(&str, &str)> = cards.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    file.header(&structure, &cards);
    file.0
}

/// Every file of the corpus.
pub(crate) fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("scalars.fits", scalars()),
        ("vectors.fits", vectors()),
        ("heap_p.fits", heap('P')),
        ("heap_q.fits", heap('Q')),
        ("scaled.fits", scaled()),
        ("tnull.fits", tnull()),
        ("strings.fits", strings()),
        ("latin1.fits", latin1()),
        ("oddities.fits", oddities()),
        ("empty.fits", empty()),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog/corpus")
}

#[test]
fn the_committed_files_are_what_the_writer_makes() {
    for (name, bytes) in files() {
        let path = folder().join(name);
        if variable(WRITE_VARIABLE).is_some() {
            fs_err::create_dir_all(folder()).unwrap();
            fs_err::write(&path, &bytes).unwrap();
        }
        assert!(
            fs_err::read(&path).unwrap() == bytes,
            "{name} is stale: set {WRITE_VARIABLE}=1 and test again"
        );
    }
}
