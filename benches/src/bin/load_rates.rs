//! `load` of vectors beside the server's own `COPY … FROM` a file: the same rows, the same table, the same run.
//!
//! `load_rates FOLDER ROWS DIMENSION` makes a run folder with one unit of embeddings below FOLDER, starts a private
//! server there (SPECMILL_POSTGRES says where PostgreSQL is), and prints rows per second and the peak memory of
//! the loading process as JSON. The binary `specmill` is taken from beside this one.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};
use specmill::ledger::{FileRecord, Ledger, LedgerRow, RowCounts, State};
use specmill::plan::{Overrides, Plan};
use specmill::server::ServerFile;
use specmill::stage::Stage;
use specmill::unit::UnitId;
use specmill_schemas::{embeddings, list_item};
use specmill_simulate::{Resolution, SimulateConfig, Truth, simulate};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Loads of each kind, in turns; the best of each counts.
const REPEATS: usize = 3;
const MODEL: &str = "bench";
/// Targets that the model is fitted to.
const TARGETS: usize = 600;
/// As `embed` writes them.
const ROWS_PER_GROUP: usize = 8192;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rows, dimension] = &arguments[..] else {
        return Err("usage: load_rates FOLDER ROWS DIMENSION".into());
    };
    let bench = Bench::prepare(Path::new(folder), rows.parse()?, dimension.parse()?)?;
    bench.specmill(&["db", "start"])?;
    let report = bench.specmill(&["db", "migrate"]).and_then(|_| bench.compare());
    bench.specmill(&["db", "stop"])?;
    writeln!(std::io::stdout(), "{}", report?)?;
    Ok(())
}

/// A run folder with one unit of vectors.
struct Bench {
    folder: PathBuf,
    unit: UnitId,
    /// The model's.
    hash: String,
    rows: usize,
    dimension: usize,
}

impl Bench {
    fn prepare(folder: &Path, rows: usize, dimension: usize) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let release = folder.join("release");
        let config = SimulateConfig {
            targets_per_unit: TARGETS,
            resolution: Resolution::None,
            truth: Truth::None,
            ..SimulateConfig::new(&release, TARGETS)
        };
        simulate(&config)?;
        fs_err::write(
            folder.join("run.toml"),
            format!(
                "input.root = {release:?}\noutput.folder = {:?}\nextract.write_spectra = true\n\
                 [models.galaxy]\nname = {MODEL:?}\nfolder = \"\"\ncomponents = {dimension}\nsmooth_pixels = 0\n\
                 [models.qso]\nname = \"\"\nfolder = \"\"\ncomponents = 1\nsmooth_pixels = 0\n\
                 [fit-basis]\nmax_iterations = 1\n",
                folder.join("run")
            ),
        )?;
        let stages = ["run", "--stage", "inventory", "--stage", "extract", "--stage", "fit-basis"];
        specmill(folder, &stages)?;
        let run = folder.join("run");
        let units = Ledger::of_run(&run).units(Stage::Extract)?;
        let unit = units.into_iter().next().ok_or("the simulated release has no unit")?;
        let card = fs_err::read_to_string(run.join("models").join(MODEL).join("card.toml"))?;
        let hash = card.lines().find_map(|line| line.strip_prefix("model_hash = "));
        let hash = hash.ok_or("the model has no hash")?.trim_matches('"').to_owned();
        let bench = Self { folder: folder.to_owned(), unit, hash, rows, dimension };
        bench.write_vectors()?;
        Ok(bench)
    }

    fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn ledger(&self) -> Ledger {
        Ledger::of_run(&self.run())
    }

    fn specmill(&self, words: &[&str]) -> Result<()> {
        specmill(&self.folder, words)
    }

    /// The ledger's row of the vectors, as `embed` leaves it.
    fn account(&self, outputs: Vec<FileRecord>) -> Result<()> {
        let plan = Plan::read(&self.folder.join("run.toml"), &Overrides::default())?;
        Ok(self.ledger().commit(&LedgerRow {
            stage: Stage::Embed,
            unit: self.unit.clone(),
            stage_hash: plan.embed_hash(&[(MODEL.to_owned(), self.hash.clone())]),
            state: State::Done,
            reason: None,
            rows_in: 0,
            rows: RowCounts::new(),
            inputs: Vec::new(),
            outputs,
            notes: Vec::new(),
            seconds: 0.0,
        })?)
    }

    fn record(&self, name: &str) -> Result<FileRecord> {
        let bytes = fs_err::read(self.run().join(name))?;
        let mut sha256 = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(sha256, "{byte:02x}")?;
        }
        Ok(FileRecord { path: name.to_owned(), bytes: bytes.len() as u64, sha256: Some(sha256) })
    }

    fn write_vectors(&self) -> Result<()> {
        let name = format!("embeddings/{MODEL}/{}.parquet", self.unit);
        let path = self.run().join(&name);
        fs_err::create_dir_all(path.parent().ok_or("no folder")?)?;
        let schema = Arc::new(embeddings::table(i32::try_from(self.dimension)?).arrow_schema());
        let pairs = vec![KeyValue::new("specmill.model_hash".to_owned(), self.hash.clone())];
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .set_key_value_metadata(Some(pairs));
        for list in ["embedding", "embedding_variance"] {
            let column = ColumnPath::new([list, "list", "item"].map(str::to_owned).to_vec());
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT);
        }
        let file = fs_err::File::create(&path)?.into_parts().0;
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties.build()))?;
        for first in (0..self.rows).step_by(ROWS_PER_GROUP) {
            let columns = self.columns(first, ROWS_PER_GROUP.min(self.rows - first))?;
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        }
        writer.close()?;
        self.account(vec![self.record(&name)?])
    }

    /// Columns in the order of the table; the vectors are noise.
    fn columns(&self, first: usize, n: usize) -> Result<Vec<ArrayRef>> {
        let numbers = i32::try_from(first)?..i32::try_from(first + n)?;
        let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; n])) };
        let single = |value: f32| -> ArrayRef { Arc::new(Float32Array::from(vec![value; n])) };
        let integer = || -> ArrayRef { Arc::new(Int32Array::from_iter_values(numbers.clone())) };
        let mut state = first as u64 + 1;
        let mut list = || -> Result<ArrayRef> {
            let values = Float32Array::from_iter_values((0..n * self.dimension).map(|_| noise(&mut state)));
            let width = i32::try_from(self.dimension)?;
            Ok(Arc::new(FixedSizeListArray::try_new(Arc::new(list_item()), width, Arc::new(values), None)?))
        };
        Ok(vec![
            text(&self.hash),
            text(&self.unit.to_string()),
            Arc::new(Int64Array::from_iter_values(numbers.clone().map(i64::from))),
            integer(),
            text("done"),
            Arc::new(StringArray::new_null(n)),
            Arc::new(Float64Array::from_iter_values(numbers.clone().map(f64::from))),
            single(0.5),
            single(1.5),
            single(20.0),
            single(0.9),
            single(1.1),
            integer(),
            list()?,
            list()?,
        ])
    }

    fn psql(&self, sql: &str) -> Result<String> {
        let server = ServerFile::read(&self.run())?.ok_or("the server does not run")?;
        let mut command = Command::new(server.bin.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", &server.user, "-p"]);
        command.arg(server.port.to_string()).arg("-h").arg(&server.socket).arg(&server.database);
        let output = command.args(["-c", "\\timing on", "-c", sql]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Seconds of a statement, as the client sees them.
    fn seconds(&self, sql: &str) -> Result<f64> {
        let said = self.psql(sql)?;
        let milliseconds =
            said.rsplit("Time: ").next().and_then(|rest| rest.split(' ').next()).ok_or("no time")?;
        Ok(milliseconds.parse::<f64>()? / 1e3)
    }

    fn compare(&self) -> Result<String> {
        let (mut ours, mut theirs, mut peak) = (f64::MAX, f64::MAX, 0);
        let partition = format!("ml.embeddings_{}", &self.hash[..16]);
        // The server writes and reads it.
        let file = std::env::temp_dir().join(format!("load_rates-{}.bin", std::process::id()));
        for repeat in 0..REPEATS {
            if repeat > 0 {
                self.psql(&format!("TRUNCATE {partition}"))?;
                self.psql("DELETE FROM ops.load WHERE dataset = 'ml.embeddings'")?;
            }
            self.psql("CHECKPOINT")?;
            peak = peak.max(self.load()?);
            let row = self.ledger().read(Stage::Load, &self.unit)?.ok_or("the unit was not loaded")?;
            if row.state != State::Done {
                return Err(row.reason.unwrap_or_default().into());
            }
            let loaded = self.psql(&format!("SELECT 'rows=' || count(*) FROM {partition}"))?;
            if !loaded.lines().any(|line| line == format!("rows={}", self.rows)) {
                return Err(format!("not {} rows were loaded: {loaded}", self.rows).into());
            }
            ours = ours.min(row.seconds);
            if repeat == 0 {
                self.psql(&format!("COPY {partition} TO '{}' (FORMAT binary)", file.display()))?;
                self.psql(&format!("CREATE TABLE ml.twin (LIKE {partition} INCLUDING ALL)"))?;
            }
            self.psql("TRUNCATE ml.twin")?;
            self.psql("CHECKPOINT")?;
            theirs =
                theirs.min(self.seconds(&format!("COPY ml.twin FROM '{}' (FORMAT binary)", file.display()))?);
        }
        let same = format!("SELECT count(*) FROM (TABLE {partition} EXCEPT TABLE ml.twin LIMIT 1) x");
        if self.rows <= 10_000 && !self.psql(&same)?.contains('0') {
            return Err("the tables differ".into());
        }
        // The server may have left a file that is its user's alone to remove.
        let _ = fs_err::remove_file(&file);
        let rate = |seconds: f64| self.rows as f64 / seconds;
        Ok(format!(
            "{{\"rows\": {}, \"dimension\": {}, \"load_per_s\": {:.0}, \"copy_from_file_per_s\": {:.0}, \
             \"ratio\": {:.3}, \"load_peak_mb\": {:.0}}}",
            self.rows,
            self.dimension,
            rate(ours),
            rate(theirs),
            theirs / ours,
            peak as f64 / 1e3
        ))
    }

    /// Runs `db load`; gives its peak resident memory in kB.
    fn load(&self) -> Result<u64> {
        let mut command = command(&self.folder, &["db", "load"])?;
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
        Ok(peak)
    }
}

fn command(folder: &Path, words: &[&str]) -> Result<Command> {
    let own = std::env::current_exe()?;
    let split = if words[0] == "db" { 2 } else { 1 };
    let mut command = Command::new(own.with_file_name("specmill"));
    command.args(&words[..split]).arg(folder.join("run.toml")).args(&words[split..]);
    Ok(command)
}

fn specmill(folder: &Path, words: &[&str]) -> Result<()> {
    let output = command(folder, words)?.stdout(Stdio::null()).output()?;
    // Simulated rows left empty or failed are no matter here.
    if matches!(output.status.code(), Some(0 | 3)) {
        return Ok(());
    }
    Err(format!("specmill {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

/// Marsaglia's xorshift64, as numbers in -1..1.
fn noise(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let bits = (*state >> 40).to_le_bytes();
    // 24 bits: exact in single precision.
    let number = u32::from_le_bytes([bits[0], bits[1], bits[2], 0]);
    f32::from_bits(0x4000_0000 | (number >> 1)) - 3.0
}
