//! `load` of a catalogue beside the server's own `COPY … FROM` a file, and our `COPY` frames beside pgpq's: the same
//! rows, the same table, the same run, in turns.
//!
//! `catalog_rates FOLDER ROWS COLUMNS` makes a run folder with a declared table of so many columns below FOLDER,
//! starts a private server there (SPECMILL_POSTGRES says where PostgreSQL is), and prints rows per second and the
//! peak memory of the loading process as JSON. The binary `specmill` is taken from beside this one.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Schema};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pgpq::ArrowToPostgresBinaryEncoder;
use sha2::{Digest, Sha256};
use specmill::copy::{CopyError, Numbers, RowEncoder, statement};
use specmill::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use specmill::server::ServerFile;
use specmill::stage::Stage;
use specmill::unit::UnitId;
use specmill_schemas::Table;
use specmill_schemas::catalogs::Catalog;
use tokio::sync::mpsc;
use tokio_postgres::{Client, NoTls};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Loads of each kind, in turns; the best of each counts.
const REPEATS: usize = 3;
/// Rows of a unit, and of what the encoders are compared on.
const ROWS_PER_UNIT: usize = 500_000;
const ROWS_ENCODED: usize = 200_000;
const ROWS_PER_GROUP: usize = 65_536;
const ROWS_PER_BATCH: usize = 2048;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rows, columns] = &arguments[..] else {
        return Err("usage: catalog_rates FOLDER ROWS COLUMNS".into());
    };
    let bench = Bench::prepare(Path::new(folder), rows.parse()?, columns.parse()?)?;
    bench.specmill(&["db", "start"])?;
    let report = bench.specmill(&["db", "migrate"]).and_then(|()| {
        let loads = bench.compare_loads()?;
        Ok(format!("{{{loads}, {}}}", bench.compare_encoders()?))
    });
    bench.specmill(&["db", "stop"])?;
    writeln!(std::io::stdout(), "{}", report?)?;
    Ok(())
}

/// Kinds of a redshift catalogue's columns, about as often as there.
const KINDS: [&str; 12] = [
    "float32", "float32", "int32", "float32", "float64", "int64", "float32", "int16", "text", "float32",
    "float64", "bool",
];

fn declaration(columns: usize) -> String {
    let mut text = "title = \"Rates.\"\nreference = \"none\"\nfiles = [\"rates-{specprod}.fits\"]\n\
        [[release]]\nname = \"v1\"\n[[table]]\nname = \"rates\"\ndescription = \"A row.\"\nhdu = \"RATES\"\n\
        key = [\"targetid\"]\ncolumns = [\n\
        { fits = \"TARGETID\", type = \"int64\", required = true, description = \"target\" },\n"
        .to_owned();
    // Three columns lead, one is the target.
    for n in 4..columns {
        let kind = KINDS[n % KINDS.len()];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{{ fits = \"C{n}\", type = \"{kind}\", description = \"column {n}\" }},");
    }
    text + "]\n"
}

/// A run folder with one declared table.
struct Bench {
    folder: PathBuf,
    table: Table,
    rows: usize,
}

impl Bench {
    fn prepare(folder: &Path, rows: usize, columns: usize) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let text = declaration(columns);
        let catalog = Catalog::parse("rates", &text)?;
        let table = catalog.tables.first().ok_or("no table")?.table();
        fs_err::write(folder.join("rates.toml"), text)?;
        fs_err::write(
            folder.join("run.toml"),
            format!(
                "input.root = {folder:?}\ninput.declarations = [{:?}]\noutput.folder = {:?}\n\
                 [[catalog]]\nname = \"rates\"\nfiles = [\"rates-iron.fits\"]\n",
                folder.join("rates.toml"),
                folder.join("run")
            ),
        )?;
        let bench = Self { folder: folder.to_owned(), table, rows };
        for (block, first) in (0..rows).step_by(ROWS_PER_UNIT).enumerate() {
            bench.write_unit(u32::try_from(block)?, first, ROWS_PER_UNIT.min(rows - first))?;
        }
        Ok(bench)
    }

    fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn specmill_command(&self, words: &[&str]) -> Result<Command> {
        let own = std::env::current_exe()?;
        let mut command = Command::new(own.with_file_name("specmill"));
        command.args(&words[..2]).arg(self.folder.join("run.toml")).args(&words[2..]);
        Ok(command)
    }

    fn specmill(&self, words: &[&str]) -> Result<()> {
        let output = self.specmill_command(words)?.stdout(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("specmill {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)).into())
    }

    fn schema(&self) -> Arc<Schema> {
        Arc::new(self.table.arrow_schema())
    }

    fn write_unit(&self, block: u32, first: usize, rows: usize) -> Result<()> {
        let (declared, table, file) = (true, "rates".to_owned(), "rates-iron".to_owned());
        let unit = UnitId::Catalog { declared, table, file, block };
        let name = format!("{unit}.parquet");
        let path = self.run().join(&name);
        fs_err::create_dir_all(path.parent().ok_or("no folder")?)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        let file = fs_err::File::create(&path)?.into_parts().0;
        let mut writer = ArrowWriter::try_new(file, self.schema(), Some(properties))?;
        for start in (first..first + rows).step_by(ROWS_PER_GROUP) {
            let n = ROWS_PER_GROUP.min(first + rows - start);
            writer.write(&self.batch(&unit, start, n)?)?;
        }
        writer.close()?;
        let mut sha256 = String::new();
        let bytes = fs_err::read(&path)?;
        for byte in Sha256::digest(&bytes) {
            write!(sha256, "{byte:02x}")?;
        }
        let mut counts = RowCounts::new();
        counts.entry(State::Done).or_default().insert(String::new(), rows as u64);
        Ok(Ledger::of_run(&self.run()).commit(&LedgerRow {
            stage: Stage::Catalog,
            unit,
            stage_hash: "bench".to_owned(),
            state: State::Done,
            reason: None,
            rows_in: rows as u64,
            rows: counts,
            inputs: Vec::new(),
            outputs: vec![FileRecord { path: name, bytes: bytes.len() as u64, sha256: Some(sha256) }],
            notes: Vec::new(),
            seconds: 0.0,
        })?)
    }

    /// Noise in which one value in eight is missing, in every second column that may be.
    fn batch(&self, unit: &UnitId, first: usize, n: usize) -> Result<RecordBatch> {
        let mut state = first as u64 + 1;
        let schema = self.schema();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            let has_nulls = field.is_nullable() && at % 2 == 0;
            let mut some = || {
                let value = next(&mut state);
                (!has_nulls || !value.is_multiple_of(8)).then_some(value >> 8)
            };
            columns.push(match (field.name().as_str(), field.data_type()) {
                ("unit", _) => Arc::new(StringArray::from(vec![unit.to_string(); n])),
                ("specprod", _) => Arc::new(StringArray::from(vec!["iron"; n])),
                ("row" | "targetid", _) => {
                    Arc::new(Int64Array::from_iter_values(i64::try_from(first)?..i64::try_from(first + n)?))
                }
                (_, DataType::Float32) => Arc::new(
                    (0..n).map(|_| some().map(|v| (v % 100_000) as f32 / 7.0)).collect::<Float32Array>(),
                ),
                (_, DataType::Float64) => {
                    Arc::new((0..n).map(|_| some().map(|v| v as f64 / 1e9)).collect::<Float64Array>())
                }
                (_, DataType::Int16) => Arc::new(
                    (0..n)
                        .map(|_| some().map(|v| i16::from((v % 100).to_le_bytes()[0])))
                        .collect::<Int16Array>(),
                ),
                (_, DataType::Int32) => Arc::new(
                    (0..n)
                        .map(|_| some().and_then(|v| i32::try_from(v % (1 << 30)).ok()))
                        .collect::<Int32Array>(),
                ),
                (_, DataType::Int64) => Arc::new(
                    (0..n).map(|_| some().and_then(|v| i64::try_from(v).ok())).collect::<Int64Array>(),
                ),
                (_, DataType::Boolean) => {
                    Arc::new((0..n).map(|_| some().map(|v| v % 2 == 0)).collect::<BooleanArray>())
                }
                (_, DataType::Utf8) => Arc::new(
                    (0..n)
                        .map(|_| some().map(|v| ["GALAXY", "QSO", "STAR", "sv3"][(v % 4) as usize]))
                        .collect::<StringArray>(),
                ),
                (name, other) => return Err(format!("{name} is {other}").into()),
            });
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    fn server(&self) -> Result<ServerFile> {
        Ok(ServerFile::read(&self.run())?.ok_or("the server does not run")?)
    }

    fn psql(&self, sql: &str) -> Result<String> {
        let server = self.server()?;
        let mut command = Command::new(server.bin.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", &server.user, "-p"]);
        command.arg(server.port.to_string()).arg("-h").arg(&server.socket).arg(&server.database);
        let output = command.args(["-c", sql]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Seconds of a statement.
    fn seconds(&self, sql: &str) -> Result<f64> {
        let started = Instant::now();
        self.psql(sql)?;
        Ok(started.elapsed().as_secs_f64())
    }

    fn compare_loads(&self) -> Result<String> {
        let (mut one, mut all, mut theirs, mut peak) = (f64::MAX, f64::MAX, f64::MAX, 0);
        // The server writes and reads it.
        let file = std::env::temp_dir().join(format!("catalog_rates-{}.bin", std::process::id()));
        for repeat in 0..REPEATS {
            for (connections, best) in [(1, &mut one), (0, &mut all)] {
                self.psql("TRUNCATE catalog.rates")?;
                self.psql("DELETE FROM ops.load WHERE dataset = 'catalog.rates'")?;
                self.psql("CHECKPOINT")?;
                let (seconds, memory) = self.load(connections)?;
                let loaded = self.psql("SELECT count(*) FROM catalog.rates")?;
                if loaded != self.rows.to_string() {
                    return Err(format!("{loaded} rows instead of {} were loaded", self.rows).into());
                }
                (*best, peak) = (best.min(seconds), peak.max(memory));
            }
            if repeat == 0 {
                self.psql(&format!("COPY catalog.rates TO '{}' (FORMAT binary)", file.display()))?;
                self.psql("CREATE TABLE catalog.twin (LIKE catalog.rates INCLUDING ALL)")?;
            }
            self.psql("TRUNCATE catalog.twin")?;
            self.psql("CHECKPOINT")?;
            theirs = theirs
                .min(self.seconds(&format!("COPY catalog.twin FROM '{}' (FORMAT binary)", file.display()))?);
        }
        self.psql("TRUNCATE catalog.rates, catalog.twin")?;
        // The server may have left a file that is its user's alone to remove.
        let _ = fs_err::remove_file(&file);
        let rate = |seconds: f64| self.rows as f64 / seconds;
        Ok(format!(
            "\"rows\": {}, \"columns\": {}, \"copy_from_file_per_s\": {:.0}, \"load_one_connection_per_s\": {:.0}, \
             \"load_per_s\": {:.0}, \"ratio\": {:.3}, \"load_peak_mb\": {:.0}",
            self.rows,
            self.table.fields.len(),
            rate(theirs),
            rate(one),
            rate(all),
            theirs / all,
            peak as f64 / 1e3
        ))
    }

    /// Runs `db load`, all of it; gives its seconds and its peak resident memory in kB.
    fn load(&self, connections: usize) -> Result<(f64, u64)> {
        let run_file = self.folder.join("run.toml");
        let text = fs_err::read_to_string(&run_file)?;
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("load.connections")).collect();
        fs_err::write(&run_file, format!("load.connections = {connections}\n{}\n", kept.join("\n")))?;
        let started = Instant::now();
        let mut command = self.specmill_command(&["db", "load"])?;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        let ended = loop {
            if let Some(ended) = child.try_wait()? {
                break ended;
            }
            let text = fs_err::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
            peak = peak.max(now.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(10));
        };
        if !ended.success() {
            return Err(format!("db load ended with {ended}").into());
        }
        Ok((started.elapsed().as_secs_f64(), peak))
    }

    fn compare_encoders(&self) -> Result<String> {
        let (declared, table, file) = (true, "rates".to_owned(), "rates-iron".to_owned());
        let unit = UnitId::Catalog { declared, table, file, block: 0 };
        let rows = ROWS_ENCODED.min(self.rows);
        let batches = (0..rows)
            .step_by(ROWS_PER_BATCH)
            .map(|first| self.batch(&unit, first, ROWS_PER_BATCH.min(rows - first)))
            .collect::<Result<Vec<_>>>()?;
        let mut frames = [f64::MAX; 2];
        let mut server = [f64::MAX; 2];
        for _ in 0..REPEATS {
            for (n, encoder) in [Encoder::Ours, Encoder::Pgpq].into_iter().enumerate() {
                let mut bytes = 0;
                let started = Instant::now();
                self.encode(encoder, &batches, &mut |chunk| {
                    bytes += chunk.len();
                    Ok(())
                })?;
                frames[n] = frames[n].min(started.elapsed().as_secs_f64());
                if bytes < 10 * rows {
                    return Err("the frames are not whole".into());
                }
                self.psql("TRUNCATE catalog.twin")?;
                self.psql("CHECKPOINT")?;
                server[n] = server[n].min(self.copy_in(encoder, &batches)?);
                if n == 0 {
                    self.psql(
                        "DROP TABLE IF EXISTS catalog.ours; CREATE TABLE catalog.ours AS TABLE catalog.twin",
                    )?;
                }
            }
            let differing = "SELECT count(*) FROM (SELECT t::text FROM catalog.ours t EXCEPT ALL SELECT t::text FROM catalog.twin t) x";
            if rows <= 20_000 && self.psql(differing)? != "0" {
                return Err("the two encoders' rows differ".into());
            }
        }
        let rate = |seconds: f64| rows as f64 / seconds;
        Ok(format!(
            "\"encoded_rows\": {rows}, \"frames_per_s\": {:.0}, \"frames_pgpq_per_s\": {:.0}, \
             \"copy_in_per_s\": {:.0}, \"copy_in_pgpq_per_s\": {:.0}",
            rate(frames[0]),
            rate(frames[1]),
            rate(server[0]),
            rate(server[1]),
        ))
    }

    /// Encodes batches; chunks of about a megabyte leave as they fill.
    fn encode(
        &self,
        encoder: Encoder,
        batches: &[RecordBatch],
        send: &mut impl FnMut(Bytes) -> std::result::Result<(), CopyError>,
    ) -> Result<()> {
        const CHUNK_BYTES: usize = 1 << 20;
        match encoder {
            Encoder::Ours => {
                let mut encoder = RowEncoder::new(&self.table, &self.schema(), Numbers::Finite, &[])?;
                for batch in batches {
                    encoder.append(batch, send)?;
                }
                send(encoder.finish())?;
            }
            Encoder::Pgpq => {
                let mut encoder = ArrowToPostgresBinaryEncoder::try_new(&self.schema())
                    .map_err(|error| format!("{error:?}"))?;
                let mut buffer = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
                encoder.write_header(&mut buffer);
                for batch in batches {
                    encoder.write_batch(batch, &mut buffer).map_err(|error| format!("{error:?}"))?;
                    if buffer.len() >= CHUNK_BYTES {
                        let full = std::mem::replace(
                            &mut buffer,
                            BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4),
                        );
                        send(full.freeze())?;
                    }
                }
                encoder.write_footer(&mut buffer).map_err(|error| format!("{error:?}"))?;
                send(buffer.freeze())?;
            }
        }
        Ok(())
    }

    /// Seconds from the first row encoded to the last in the table; encoded ahead on a thread, as `load` does.
    fn copy_in(&self, encoder: Encoder, batches: &[RecordBatch]) -> Result<f64> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .enable_time()
            .build()?;
        let client = self.connect(&runtime)?;
        let sql = statement("catalog.twin", &self.table);
        let started = Instant::now();
        std::thread::scope(|scope| {
            let (sender, mut receiver) = mpsc::channel::<Bytes>(4);
            let encoding = scope.spawn(move || {
                let mut send = |chunk| {
                    sender.blocking_send(chunk).map_err(|_| CopyError::Columns {
                        table: "twin".to_owned(),
                        problem: "nobody takes them".to_owned(),
                    })
                };
                self.encode(encoder, batches, &mut send).map_err(|error| error.to_string())
            });
            runtime.block_on(async {
                let sink = client.copy_in(&sql).await?;
                let mut sink = std::pin::pin!(sink);
                while let Some(chunk) = receiver.recv().await {
                    sink.feed(chunk).await?;
                }
                sink.finish().await
            })?;
            encoding.join().map_err(|_| "the encoder panicked")??;
            Ok(started.elapsed().as_secs_f64())
        })
    }

    fn connect(&self, runtime: &tokio::runtime::Runtime) -> Result<Client> {
        let server = self.server()?;
        let mut config = tokio_postgres::Config::new();
        config.host_path(&server.socket).port(server.port).user(&server.user).dbname(&server.database);
        let (client, connection) = runtime.block_on(config.connect(NoTls))?;
        runtime.spawn(async {
            // Who waits on the connection learns of its end there.
            let _ = connection.await;
        });
        Ok(client)
    }
}

/// Whose frames.
#[derive(Debug, Clone, Copy)]
enum Encoder {
    Ours,
    Pgpq,
}

/// Marsaglia's xorshift64.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
