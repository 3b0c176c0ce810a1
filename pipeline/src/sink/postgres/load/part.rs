//! One lake file into one table: read, encoded and verified on threads of their own while chunks are sent.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field as ArrowField, Schema};
use bytes::Bytes;
use futures_util::SinkExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use specmill_schemas::{Field, Table, embeddings, features, neighbors};
use tokio::sync::mpsc;
use tokio_postgres::CopyInSink;

use super::wanted::{Dataset, ModelKey, Part};
use super::{Database, DatabaseError, Fault};
use crate::digest::DigestWriter;
use crate::lake::bytes_per_row;
use crate::sink::postgres::copy::{self, CopyError, Numbers, RowEncoder};
use crate::sink::postgres::failed;
use crate::unit::UnitId;

/// Chunks encoded ahead of the connection.
const CHUNKS_AHEAD: usize = 4;
/// Bounds a batch's memory: a row is 2 kB at most, embeddings of 128 components with their variances …
const BATCH_ROWS: usize = 2048;
/// … but for those of catalogues with hundreds of columns.
const BATCH_VALUES: usize = 1 << 18;
/// … and for those with long lists.
const BATCH_BYTES: usize = 32 << 20;
/// Read at once for the digest.
const READ_BYTES: usize = 1 << 20;

/// A lake file, opened and understood but not yet read.
pub(super) struct Source {
    path: PathBuf,
    file: std::fs::File,
    metadata: ArrowReaderMetadata,
    table: Table,
    numbers: Numbers,
    expected: Vec<(&'static str, String)>,
    sha256: Option<String>,
}

/// What a copy amounted to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copied {
    pub(super) rows: u64,
    /// Decoding, encoding.
    pub(super) read_seconds: f64,
    /// Until the last row was in the table.
    pub(super) seconds: f64,
}

/// What the encoding thread hands over.
enum Message {
    Chunk(Bytes),
    /// Every row has passed.
    End,
}

/// Why the encoding thread ended early.
enum Halt {
    /// A row cannot be loaded.
    Row(CopyError),
    /// The file cannot be decoded.
    File(String),
    /// Nobody takes the chunks any more: the connection has its own reason.
    Unwanted,
}

impl From<CopyError> for Halt {
    fn from(error: CopyError) -> Self {
        Self::Row(error)
    }
}

/// The columns of a part; those of a catalogue are the file's own, which its table is held against.
fn table(part: &Part, schema: &Schema) -> Result<Table, String> {
    Ok(match &part.dataset {
        Dataset::Catalog(name) | Dataset::CatalogRaw(name) => {
            let field = |field: &ArrowField| {
                let (name, kind) = (field.name(), field.data_type());
                Field::from_arrow(field).ok_or_else(|| format!("column `{name}` is {kind}"))
            };
            let fields = schema.fields().iter().map(|found| field(found)).collect::<Result<_, _>>()?;
            Table { name: name.clone().into(), description: String::new(), fields }
        }
        Dataset::Features => features::table(),
        Dataset::Embeddings => embeddings::table(part.model.as_ref().map_or(0, |model| model.dimension)),
        Dataset::Neighbors => neighbors::neighbors(),
        Dataset::Scores => neighbors::scores(),
        Dataset::Models => Table { name: "models".into(), description: String::new(), fields: Vec::new() },
    })
}

/// Which numbers a part may hold.
fn numbers(part: &Part) -> Numbers {
    if matches!(part.dataset, Dataset::CatalogRaw(_)) { Numbers::Any } else { Numbers::Finite }
}

impl Source {
    /// Opens the file of a part and checks what can be checked without reading it.
    ///
    /// # Errors
    /// Where it is not there, not of the size accounted for, not Parquet, or of another unit, model or program.
    pub(super) fn open(folder: &Path, unit: &UnitId, part: &Part) -> Result<Self, Fault> {
        let path = folder.join(&part.file.path);
        let damaged = |problem: String| Fault::File(format!("{}: {problem}", part.file.path));
        // The handle keeps the bytes that are verified, whatever is renamed over them.
        let file = fs_err::File::open(&path).map_err(|error| Fault::File(error.to_string()))?.into_parts().0;
        let bytes = file.metadata().map_err(|error| damaged(error.to_string()))?.len();
        if bytes != part.file.bytes {
            return Err(damaged(format!("{bytes} bytes, but the ledger says {}", part.file.bytes)));
        }
        let metadata = ArrowReaderMetadata::load(&file, Default::default()).map_err(|error| {
            // That it is another file explains more than what is wrong with that one.
            damaged(verify(&file, &part.file.sha256).err().unwrap_or_else(|| error.to_string()))
        })?;
        let mut expected = Vec::new();
        if !matches!(unit, UnitId::Model { .. }) {
            expected.push(("unit", unit.to_string()));
        }
        if let Some(model) = &part.model {
            check_model(&metadata, model)
                .map_err(|problem| Fault::Row(format!("{}: {problem}", part.file.path)))?;
            expected.push(("model_hash", model.hash.clone()));
        }
        let table = table(part, metadata.schema()).map_err(damaged)?;
        let source = Self {
            path: PathBuf::from(&part.file.path),
            file,
            metadata,
            table,
            numbers: numbers(part),
            expected,
            sha256: part.file.sha256.clone(),
        };
        source.encoder().map_err(|error| damaged(error.to_string()))?;
        Ok(source)
    }

    fn encoder(&self) -> Result<RowEncoder, CopyError> {
        RowEncoder::new(&self.table, self.metadata.schema(), self.numbers, &self.expected)
    }

    /// Its columns.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Rows of a batch.
    fn batch_rows(&self) -> usize {
        let by_bytes = BATCH_BYTES / bytes_per_row(&self.metadata).max(1);
        (BATCH_VALUES / self.table.fields.len().max(1)).min(by_bytes).clamp(1, BATCH_ROWS)
    }

    /// About how much write-ahead log its rows make.
    ///
    /// Parquet's plain size counts the values; a row adds a tuple header and an index entry, and a full-page image
    /// now and then.
    pub(super) fn wal_bytes(&self) -> u64 {
        const PER_ROW: u64 = 120;
        let footer = self.metadata.metadata();
        let plain: i64 = footer.row_groups().iter().map(|group| group.total_byte_size()).sum();
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        // Array elements of `real[]` carry their length.
        2 * u64::try_from(plain).unwrap_or(0) + rows * PER_ROW
    }

    /// Copies the rows into a table inside the transaction that is open.
    ///
    /// # Errors
    /// Where a row cannot be loaded, the bytes are not those accounted for, or the database refuses or is lost.
    pub(super) fn copy_into(&self, database: &Database, sql_table: &str) -> Result<Copied, Fault> {
        let started = Instant::now();
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let doing = format!("loading {}", self.path.display());
        let statement = copy::statement(sql_table, &self.table);
        let (verified, encoded, sent) = std::thread::scope(|scope| {
            let verifying = scope.spawn(|| {
                let_the_sender_go_first();
                self.verify()
            });
            let encoding = scope.spawn(move || {
                let_the_sender_go_first();
                self.encode(&sender_of(sender))
            });
            let sent = database.block_on(send(database, &statement, receiver));
            let verified = verifying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // A decoder may panic over damaged bytes; the digest tells.
            (verified, encoding.join().ok(), sent)
        });
        let read = match (verified?, encoded) {
            // A file that is not the one accounted for explains whatever went wrong with its rows.
            ((), Some(encoded)) => encoded,
            ((), None) => return Err(self.damaged("it cannot be decoded")),
        };
        match (read, sent) {
            (Ok((rows, read_seconds)), Ok(copied)) if copied == Some(rows) => {
                Ok(Copied { rows, read_seconds, seconds: started.elapsed().as_secs_f64() })
            }
            (Err(Halt::Row(error)), _) => Err(Fault::Row(format!("{}: {error}", self.path.display()))),
            (Err(Halt::File(problem)), _) => Err(self.damaged(&problem)),
            (_, Err(error)) => Err(failed(doing)(error).into()),
            (Err(Halt::Unwanted) | Ok(_), Ok(_)) => Err(Fault::Database(DatabaseError::ConnectionLost {
                doing,
                reason: "the server did not take all rows".to_owned(),
            })),
        }
    }

    fn damaged(&self, problem: &str) -> Fault {
        Fault::File(format!("{}: {problem}", self.path.display()))
    }

    /// Whether the bytes are those accounted for.
    fn verify(&self) -> Result<(), Fault> {
        verify(&self.file, &self.sha256).map_err(|problem| self.damaged(&problem))
    }

    /// Sends every row, encoded, and then the end.
    fn encode(&self, send: &impl Fn(Message) -> Result<(), Halt>) -> Result<(u64, f64), Halt> {
        let mut busy = 0.0;
        let mut encoder = self.encoder()?;
        let file = self.file.try_clone().map_err(|error| Halt::File(error.to_string()))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_batch_size(self.batch_rows())
            .build()
            .map_err(|error| Halt::File(error.to_string()))?;
        let mut watch = Instant::now();
        for batch in reader {
            let batch: RecordBatch = batch.map_err(|error| Halt::File(error.to_string()))?;
            encoder.append(&batch, &mut |chunk| {
                busy += watch.elapsed().as_secs_f64();
                let sent = send(Message::Chunk(chunk));
                watch = Instant::now();
                sent
            })?;
        }
        let rows = encoder.rows();
        send(Message::Chunk(encoder.finish()))?;
        send(Message::End)?;
        Ok((rows, busy + watch.elapsed().as_secs_f64()))
    }
}

/// Whether a file's bytes have this digest; what is wrong where they have not.
fn verify(file: &std::fs::File, sha256: &Option<String>) -> Result<(), String> {
    let Some(expected) = sha256 else { return Ok(()) };
    match digest(file) {
        Ok(found) if found == *expected => Ok(()),
        Ok(found) => Err(format!("its SHA-256 is {found}, but the ledger says {expected}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The SHA-256 of a file. The position of the handle is the decoder's and is left alone.
fn digest(file: &std::fs::File) -> io::Result<String> {
    let mut writer = DigestWriter::new(io::sink());
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(writer.finish().2.unwrap_or_default());
        }
        writer.write_all(&buffer[..read])?;
        at += read as u64;
    }
}

/// Refuses vectors of any model but the one the run has.
fn check_model(metadata: &ArrowReaderMetadata, model: &ModelKey) -> Result<(), String> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let found = pairs
        .into_iter()
        .flatten()
        .find(|pair| pair.key == "specmill.model_hash")
        .and_then(|pair| pair.value.as_deref())
        .unwrap_or("nothing");
    if found != model.hash {
        return Err(format!(
            "its vectors are of model {found}, but model `{}` is {}: vectors of two models cannot be compared",
            model.name, model.hash
        ));
    }
    let dimension =
        metadata.schema().field_with_name("embedding").ok().map(|field| field.data_type().clone());
    match dimension {
        Some(DataType::FixedSizeList(_, found)) if found != model.dimension => {
            Err(format!("its vectors have {found} elements, but the model's card says {}", model.dimension))
        }
        _ => Ok(()),
    }
}

/// Lowers the priority of the calling thread. What works ahead of the server must not keep the thread that feeds it
/// off a core: a socket holds less than a millisecond's worth of rows.
fn let_the_sender_go_first() {
    const NICER: libc::c_int = 10;
    // SAFETY: on Linux this changes the priority of the calling thread and nothing else; any outcome will do.
    let _ = unsafe { libc::nice(NICER) };
}

fn sender_of(sender: mpsc::Sender<Message>) -> impl Fn(Message) -> Result<(), Halt> {
    move |message| sender.blocking_send(message).map_err(|_| Halt::Unwanted)
}

/// Feeds a `COPY`; `None` where the rows did not all come, so that it must be abandoned.
async fn send(
    database: &Database,
    statement: &str,
    mut receiver: mpsc::Receiver<Message>,
) -> Result<Option<u64>, tokio_postgres::Error> {
    let sink: CopyInSink<Bytes> = database.client().copy_in(statement).await?;
    let mut sink = std::pin::pin!(sink);
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Chunk(chunk) => sink.feed(chunk).await?,
            Message::End => return sink.finish().await.map(Some),
        }
    }
    Ok(None)
}
