//! Loading: rows to `COPY` frames on one thread, and the whole of `db load` into a private server.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::DataType;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use specmill::config::Environment;
use specmill::copy::{CopyError, Numbers, RowEncoder};
use specmill::server::{self, ServerFile};
use specmill::stage::Stage;
use specmill_benches::device::spread;
use specmill_benches::run_folder::{RunFolder, output};
use specmill_kernels::Cpu;
use specmill_schemas::{Table, embeddings, features, list_item};

const WORKS: &str = "the benchmark's own rows can be sent";
/// Batches of vectors, and rows that come at a time, as `load` reads them.
const VECTOR_BATCHES: i64 = 4;
const BATCH_ROWS: usize = 2048;
const DIMENSION: i32 = 64;
/// Bytes of a `COPY` stream before its first row and after its last.
const HEADER_AND_TRAILER: usize = 19 + 2;

fn load(criterion: &mut Criterion) {
    specmill::memory::keep_freed_memory();
    let run = RunFolder::of_coadds(1);
    let rows = run.must_run(&Cpu::new(1).expect("one thread can be started"), Stage::Extract);
    let left = &output(&rows, "features").path;
    encode(criterion, "features", &features::table(), &read(&run.path().join(left)));
    encode(criterion, "vectors", &embeddings::table(DIMENSION), &vectors());
    if let Some(reason) = end_to_end(criterion, &run) {
        // Nothing is left to be told where standard error is closed.
        let _ = writeln!(std::io::stderr(), "SKIPPED load/end-to-end: {reason}");
    }
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = fs_err::File::open(path).expect(WORKS).into_parts().0;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect(WORKS).with_batch_size(BATCH_ROWS);
    reader.build().expect(WORKS).collect::<Result<_, _>>().expect(WORKS)
}

/// Rows of embeddings; the vectors are noise.
fn vectors() -> Vec<RecordBatch> {
    let schema = Arc::new(embeddings::table(DIMENSION).arrow_schema());
    let width = usize::try_from(DIMENSION).expect("it is a length");
    (0..VECTOR_BATCHES)
        .map(|batch| {
            let n = BATCH_ROWS;
            let columns = schema.fields().iter().map(|field| -> ArrayRef {
                match (field.name(), field.data_type()) {
                    (_, DataType::Utf8) => Arc::new(StringArray::from(vec!["done"; n])),
                    (_, DataType::Int64) => Arc::new(Int64Array::from(vec![1 + batch; n])),
                    (_, DataType::Int32) => Arc::new(Int32Array::from(vec![1; n])),
                    (_, DataType::Float64) => Arc::new(Float64Array::from(vec![0.5; n])),
                    (_, DataType::Float32) => Arc::new(Float32Array::from(vec![0.5; n])),
                    (_, DataType::FixedSizeList(..)) => {
                        let values = Float32Array::from(spread(batch.unsigned_abs(), n * width, 2.0, -1.0));
                        let lists = FixedSizeListArray::try_new(
                            Arc::new(list_item()),
                            DIMENSION,
                            Arc::new(values),
                            None,
                        );
                        Arc::new(lists.expect("the lengths agree"))
                    }
                    (name, other) => panic!("{name} is {other}"),
                }
            });
            RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("the columns are the table's")
        })
        .collect()
}

fn encode(criterion: &mut Criterion, name: &str, table: &Table, batches: &[RecordBatch]) {
    let schema = batches[0].schema();
    let encode = |each: &mut dyn FnMut(&[u8])| {
        let mut encoder = RowEncoder::new(table, &schema, Numbers::Finite, &[]).expect(WORKS);
        let mut send = |chunk: bytes::Bytes| -> Result<(), CopyError> {
            each(&chunk);
            Ok(())
        };
        for batch in batches {
            encoder.append(batch, &mut send).expect(WORKS);
        }
        let rows = encoder.rows();
        each(&encoder.finish());
        rows
    };
    let mut stream = Vec::new();
    let rows = encode(&mut |chunk| stream.extend_from_slice(chunk));
    assert_eq!(count_rows(&stream, table.fields.len()), rows, "{name}: every row is whole");

    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(rows));
    group.bench_function(format!("frames_of_{name}/cpu/{rows}x{}", table.fields.len()), |bencher| {
        bencher.iter(|| {
            encode(&mut |chunk| {
                std::hint::black_box(chunk);
            })
        });
    });
    group.finish();
}

/// Rows of a binary `COPY` stream, read as PostgreSQL's manual defines it.
fn count_rows(stream: &[u8], n_columns: usize) -> u64 {
    let (mut at, mut rows) = (HEADER_AND_TRAILER - 2, 0);
    while at + 2 < stream.len() {
        let found = i16::from_be_bytes([stream[at], stream[at + 1]]);
        assert_eq!(usize::try_from(found), Ok(n_columns), "columns of row {rows}");
        at += 2;
        for _ in 0..n_columns {
            let length = i32::from_be_bytes([stream[at], stream[at + 1], stream[at + 2], stream[at + 3]]);
            // −1 is NULL, which has no bytes.
            at += 4 + usize::try_from(length.max(0)).expect("it is a length");
        }
        rows += 1;
    }
    assert_eq!(stream[at..], [0xff, 0xff], "the stream ends with its trailer");
    rows
}

/// The program beside the benchmarks' folder.
fn specmill() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.parent()?.join("specmill");
    path.is_file().then_some(path)
}

/// Times `db load` of a unit's features; why not, where it cannot.
fn end_to_end(criterion: &mut Criterion, run: &RunFolder) -> Option<String> {
    let environment = Environment::read();
    if environment.postgres.is_none() {
        return Some("SPECMILL_POSTGRES names no PostgreSQL".to_owned());
    }
    let Some(specmill) = specmill() else {
        return Some("the program is not built: cargo build --release -p specmill".to_owned());
    };
    let database = match server::start(run.path(), &environment) {
        Ok(server) => Database { server, specmill, run },
        Err(error) => return Some(error.to_string()),
    };
    database.specmill("migrate");
    database.specmill("load");
    let rows = database.psql("SELECT count(*) FROM spectra.features");
    assert_eq!(rows, specmill_benches::TARGETS_PER_UNIT.to_string(), "every row was loaded");

    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(specmill_benches::TARGETS_PER_UNIT as u64));
    group.bench_function(format!("db_load/cpu/{rows}x{}", features::table().fields.len()), |bencher| {
        bencher.iter_batched(
            || database.psql("TRUNCATE spectra.features CASCADE; DELETE FROM ops.load"),
            |_| database.specmill("load"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    assert_eq!(database.psql("SELECT count(*) FROM spectra.features"), rows, "every row was loaded once");
    None
}

/// A private server that ends with its owner.
struct Database<'a> {
    server: ServerFile,
    specmill: PathBuf,
    run: &'a RunFolder,
}

impl Database<'_> {
    fn specmill(&self, word: &str) {
        let mut command = Command::new(&self.specmill);
        command.args(["db", word]).arg(self.run.run_file()).stdout(Stdio::null());
        let output = command.output().expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "specmill db {word}: {said}");
    }

    fn psql(&self, sql: &str) -> String {
        let server = &self.server;
        let mut command = Command::new(server.bin.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", &server.user, "-p"]);
        command.arg(server.port.to_string()).arg("-h").arg(&server.socket).arg(&server.database);
        let output = command.args(["-c", sql]).output().expect("psql can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A server that has ended by itself needs no end.
        let _ = server::stop(self.run.path());
    }
}

criterion_group!(benches, load);
criterion_main!(benches);
