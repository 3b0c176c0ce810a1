//! The command line as typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::fits::bintable::TnullPolicy;
use crate::plan::Overrides;
use crate::shard::Shard;
use crate::sink::postgres::query::K_MOST;
use crate::stage::Stage;

/// DESI catalogues and spectra in, analysis-ready rows out.
#[derive(Debug, Parser)]
#[command(name = "specmill", version, about, max_term_width = 100)]
#[command(after_help = "EXIT CODES:
  0  complete
  1  unexpected error, or a device that fails the self-test
  2  bad arguments or run file: nothing was started
  3  finished, but some unit or target failed or misses its input: `specmill status` says which
  4  the requested device is unavailable, or was lost
  5  the database is unavailable or refused
  6  the counts do not add up: do not use the output
  143  told to end by SIGTERM or Ctrl-C: the same command goes on from there

EXAMPLES:
  specmill doctor
  specmill catalog inspect zall-pix-iron.fits
  specmill simulate --out sim --targets 2000
  specmill plan jobs/runs/demo.toml
  specmill run jobs/runs/demo.toml
  specmill status jobs/runs/demo.toml
  specmill show jobs/runs/demo.toml --target 39627640566453451 --out target.png
  specmill db start jobs/runs/demo.toml
  specmill db migrate jobs/runs/demo.toml
  specmill db load jobs/runs/demo.toml
  specmill similar jobs/runs/demo.toml --target 39626406270861315 --out similar.png")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say in sentences what a run will do, and do nothing.
    Plan(RunArgs),
    /// Run the stages of a run file.
    #[command(after_help = "EXAMPLES:
  specmill run jobs/runs/demo.toml
  specmill run jobs/runs/demo.toml --stage extract --threads 8 --out /data/run1
  specmill run jobs/runs/demo.toml --stage inventory && specmill run jobs/runs/demo.toml --stage extract --shard 0/8")]
    Run(Box<ExecuteArgs>),
    /// List the units of a release tree.
    Inventory(RunArgs),
    /// Say what is done, what is left, what failed and why.
    Status(StatusArgs),
    /// Compare two run folders: units, bytes, and column by column.
    #[command(after_help = "EXAMPLES:
  specmill verify /lake/runs/published /lake/runs/again
  specmill verify A B --max-ulp 4 --report difference.json

It says identical (the same bytes), equal within tolerance, or different, and exits with 3 where they differ.")]
    Verify(VerifyRunsArgs),
    /// Run a recorded run again elsewhere and compare the two.
    #[command(after_help = "EXAMPLES:
  specmill rerun --from /lake/runs/published/runs/1789000000000-node1-7.json --out again
  specmill rerun --from RECORD.json --out again --check

It says first what differs: inputs by digest, code version, settings' hashes, models. --check stops there.")]
    Rerun(RerunArgs),
    /// Kubernetes Jobs: manifests of a run file, and their way through a cluster.
    #[command(subcommand)]
    Job(JobCommand),
    /// Say what this machine is fit for: device, kernels, self-test, memory, disk, database.
    #[command(
        after_help = "It exits with 0 where the device asked for works and passes the self-test, with 1 where it \
fails the test and with 4 where it is unavailable. A database that cannot be reached is said, and is no failure.

EXAMPLES:
  specmill doctor
  specmill doctor --device cuda:0
  specmill doctor jobs/runs/demo.toml --device cpu"
    )]
    Doctor(DoctorArgs),
    /// The database: a private server, its schema, loading, indexing.
    #[command(subcommand)]
    Db(DbCommand),
    /// Find the spectra most like one target's, in the database; print and draw them.
    #[command(after_help = "EXAMPLES:
  specmill similar jobs/runs/demo.toml --target 39627640566453451 --out similar.png
  specmill similar jobs/runs/demo.toml --target 39627640566453451 --where \"z between 2 and 2.5 and zwarn = 0\"")]
    Similar(SimilarArgs),
    /// Write a table of the database, or a join of the run folder's tables, to a Parquet or CSV file.
    #[command(after_help = "EXAMPLES:
  specmill export jobs/runs/demo.toml spectra.features --out features.parquet
  specmill export jobs/runs/demo.toml ml.neighbors --where \"rank = 1\" --out nearest.csv
  specmill export jobs/runs/demo.toml ard.galaxy_ard --out galaxies.parquet
  specmill export jobs/runs/demo.toml --join galaxy_ard --out galaxies.parquet

JOINS, each also a view of the database that gives the same file:
  zpix_quality  catalog.zpix with target classes, good redshifts and ZWARN bit by bit
  galaxy_ard    features of galaxies with redshift catalogue, FastSpecFit, AGN classes, groups and voids
  qso_ard       features of quasars with redshift and QSO catalogues, FastSpecFit, BAL and black-hole masses")]
    Export(ExportArgs),
    /// Draw one target of a run: arms, combined spectrum, mask, lines at its redshift, indices.
    #[command(after_help = "EXAMPLES:
  specmill show jobs/runs/demo.toml --target 39627640566453451 --out target.png
  specmill show jobs/runs/demo.toml --target 39627640566453451 --out target.svg")]
    Show(ShowArgs),
    /// Tables of FITS files: what they hold, and the same as Parquet.
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Write simulated DESI files, with the truth beside them.
    #[command(after_help = "EXAMPLES:
  specmill simulate --out sim --targets 2000
  specmill simulate --out big --targets 500000 --resolution none
  specmill simulate --out tables --targets 2000000 --catalogs zall-pix,fastspecfit --no-spectra
  specmill simulate --samples data-samples")]
    Simulate(SimulateArgs),
}

/// `catalog`.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// List the HDUs of a FITS file and the columns of its tables.
    #[command(after_help = "EXAMPLES:
  specmill catalog inspect zall-pix-iron.fits
  specmill catalog inspect QSO_cat_iron.fits --hdu QSO_CAT --counts")]
    Inspect(InspectArgs),
    /// Write a table of a FITS file to a Parquet file, its values as they are.
    #[command(after_help = "EXAMPLES:
  specmill catalog convert zall-pix-iron.fits --hdu ZCATALOG --out zall-pix.parquet
  specmill catalog convert fastspec-iron-main-dark.fits --hdu FASTSPEC --columns TARGETID,HALPHA_FLUX --out halpha.parquet
  specmill catalog convert QSO_cat_fuji.fits.gz --nan-is-null --out qso.parquet

Types follow TFORM, TSCAL and TZERO; units and cards are metadata of the columns. A TNULL that a masked
table left behind (999999 cut to the column's width) is not followed: see --tnull.")]
    Convert(ConvertArgs),
    /// Compare the catalogues of a run with their files: rows, and count and sum of every column.
    #[command(after_help = "EXAMPLES:
  specmill catalog verify jobs/runs/catalogs.toml
  specmill catalog verify jobs/runs/catalogs.toml --database

It exits with 3 where anything differs, has another number of rows than published, or is not done yet.")]
    Verify(VerifyArgs),
}

/// Which run to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// Compare the lake with the database too.
    #[arg(long)]
    pub database: bool,
    /// The run folder, instead of [output] folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What to list.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The FITS file, plain or gzip.
    pub file: PathBuf,
    /// Only this HDU: its EXTNAME, or its number (the primary HDU is 0).
    #[arg(long)]
    pub hdu: Option<String>,
    /// Read every value: how many are NULL, NaN or infinite, and between what the others lie.
    #[arg(long)]
    pub counts: bool,
}

/// What to convert.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The FITS file, plain or gzip.
    pub file: PathBuf,
    /// The table: its EXTNAME or number; may be left out where there is only one.
    #[arg(long)]
    pub hdu: Option<String>,
    /// The Parquet file.
    #[arg(long)]
    pub out: PathBuf,
    /// How its columns are read.
    #[command(flatten)]
    pub table: TableArgs,
}

/// How the columns of a table are read.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// Only these columns, in this order.
    #[arg(long, value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Turn NaN into NULL.
    #[arg(long)]
    pub nan_is_null: bool,
    /// What TNULL cards mean.
    #[arg(long, value_enum, default_value_t = TnullArg::Judge)]
    pub tnull: TnullArg,
    /// Replace bytes of strings that are not UTF-8 instead of stopping at them.
    #[arg(long)]
    pub replace_text: bool,
}

/// `--tnull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TnullArg {
    /// NULL, except where the value is what masked tables leave behind.
    Judge,
    /// NULL always.
    Honor,
    /// A value like any other.
    Ignore,
}

impl From<TnullArg> for TnullPolicy {
    fn from(arg: TnullArg) -> Self {
        match arg {
            TnullArg::Judge => Self::Judge,
            TnullArg::Honor => Self::Honor,
            TnullArg::Ignore => Self::Ignore,
        }
    }
}

/// `db`.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Start the private PostgreSQL of a run folder.
    Start(DbArgs),
    /// Stop it.
    Stop(DbArgs),
    /// Bring the schema up to this program's version.
    Migrate(DbArgs),
    /// Say whether the database is fit for use, and what it holds.
    Check(DbArgs),
    /// Load a run: the stage `load` of `run`.
    Load(Box<ExecuteArgs>),
    /// Build the indexes and measure their recall.
    Index(DbArgs),
}

/// A run file, for the run folder and the settings of the database.
#[derive(Debug, Args)]
pub struct DbArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// The run folder, instead of [output] folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What to look for.
#[derive(Debug, Args)]
pub struct SimilarArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// TARGETID.
    #[arg(long, allow_negative_numbers = true)]
    pub target: i64,
    /// Only the target's spectrum in units whose id starts with this.
    #[arg(long)]
    pub unit: Option<String>,
    /// The model; needed where the target has vectors under several.
    #[arg(long)]
    pub model: Option<String>,
    /// How many.
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=i64::from(K_MOST)))]
    pub k: u16,
    /// Only spectra whose features fulfil this.
    #[arg(long = "where")]
    pub filter: Option<String>,
    /// The picture: .png or .svg.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// The run folder, instead of [output] folder.
    #[arg(long)]
    pub run_folder: Option<PathBuf>,
}

/// What to export.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// The table or view of the database, as schema.table.
    #[arg(required_unless_present = "join", default_value = "", hide_default_value = true)]
    pub table: String,
    /// Instead: this join of the run folder's tables, without a database; needs a program built with `--features joins`.
    #[arg(long, conflicts_with_all = ["table", "filter"])]
    pub join: Option<String>,
    /// Only rows that fulfil this.
    #[arg(long = "where")]
    pub filter: Option<String>,
    /// The file: .parquet or .csv.
    #[arg(long)]
    pub out: PathBuf,
    /// The run folder, instead of [output] folder.
    #[arg(long)]
    pub run_folder: Option<PathBuf>,
}

/// A run file with what the command line says over it.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// Only these stages; may be given several times.
    #[arg(long = "stage")]
    pub stages: Vec<Stage>,
    /// auto, cpu or cuda:N.
    #[arg(long)]
    pub device: Option<String>,
    /// Compute threads; 0 = one per core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Targets per batch.
    #[arg(long)]
    pub batch_rows: Option<usize>,
    /// The release tree, instead of [input] root.
    #[arg(long)]
    pub input: Option<PathBuf>,
    /// The run folder, instead of [output] folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl RunArgs {
    /// What goes over the run file.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            device: self.device.clone(),
            threads: self.threads,
            batch_rows: self.batch_rows,
            input: self.input.clone(),
            folder: self.out.clone(),
            stages: self.stages.clone(),
            shard: None,
        }
    }
}

/// A run to carry out.
#[derive(Debug, Clone, Args)]
pub struct ExecuteArgs {
    /// The run file and what goes over it.
    #[command(flatten)]
    pub run: RunArgs,
    /// Only this share of the units of a map stage: i/N, counted from 0.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Exit with 0 where all that is wrong is in the ledger: units or targets that failed or miss their input.
    #[arg(long)]
    pub accept_partial: bool,
    /// Where metrics go.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

impl ExecuteArgs {
    /// What goes over the run file.
    pub fn overrides(&self) -> Overrides {
        Overrides { shard: self.shard, ..self.run.overrides() }
    }
}

/// Where metrics go, in Prometheus' text format.
#[derive(Debug, Clone, Default, Args)]
pub struct MetricsArgs {
    /// Serve them here while the run goes on: http://ADDRESS:PORT/metrics.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// Write them into this file every 30 seconds and at the end, for a node exporter's textfile collector.
    #[arg(long, value_name = "FILE.prom")]
    pub metrics_file: Option<PathBuf>,
    /// Push them to this Pushgateway at the end.
    #[arg(long, value_name = "http://HOST:PORT")]
    pub metrics_push: Option<String>,
}

/// Which run's account to read.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The run file and what goes over it.
    #[command(flatten)]
    pub run: RunArgs,
    /// Write the ledger of all stages into one table, `ledger.parquet`.
    #[arg(long)]
    pub merge: bool,
    /// Remove what killed runs left unfinished; nobody else may be at work in the run folder.
    #[arg(long)]
    pub tidy: bool,
    /// Exit with 0 where all that is wrong is in the ledger.
    #[arg(long)]
    pub accept_partial: bool,
}

/// Which runs to compare.
#[derive(Debug, Args)]
pub struct VerifyRunsArgs {
    /// A run folder.
    pub a: PathBuf,
    /// Another.
    pub b: PathBuf,
    /// Values this many units in the last place apart are equal.
    #[arg(long, default_value_t = 0)]
    pub max_ulp: u64,
    /// Write the whole comparison, as JSON, into this file.
    #[arg(long)]
    pub report: Option<PathBuf>,
}

/// What to run again.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// The run record: `runs/<run id>.json` of the run folder.
    #[arg(long, value_name = "RECORD.json")]
    pub from: PathBuf,
    /// The new run folder.
    #[arg(long)]
    pub out: PathBuf,
    /// Where the release lies now, instead of where the record says.
    #[arg(long)]
    pub input: Option<PathBuf>,
    /// auto, cpu or cuda:N; auto without it, whatever the record says.
    #[arg(long)]
    pub device: Option<String>,
    /// Compute threads; 0 = one per core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Only say what differs.
    #[arg(long)]
    pub check: bool,
}

/// `job`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Write the manifests of a run file, numbered in the order they are applied in.
    #[command(after_help = "EXAMPLES:
  specmill job render jobs/runs/cluster.toml --out rendered
  kubectl kustomize rendered")]
    Render(RenderArgs),
    /// Apply them stage after stage and wait; interrupted and called again, it goes on.
    Submit(ClusterArgs),
    /// Say how the Jobs of a run file stand.
    Status(ClusterArgs),
    /// Print the logs of its pods.
    #[command(after_help = "EXAMPLES:
  specmill job logs jobs/runs/cluster.toml --stage extract --shard 3")]
    Logs(LogsArgs),
    /// Delete its Jobs, their pods, and what was applied for them; what they have written stays.
    Cancel(ClusterArgs),
}

/// What to render.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// The folder for the manifests.
    #[arg(long)]
    pub out: PathBuf,
}

/// Which run, on which cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The run file.
    pub run_file: PathBuf,
    /// Context of the kubeconfig, instead of its current one.
    #[arg(long)]
    pub context: Option<String>,
    /// Seconds between two looks at a Job.
    #[arg(long, default_value_t = 5.0)]
    pub poll_seconds: f64,
}

/// Whose logs.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run and its cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only this stage.
    #[arg(long)]
    pub stage: Option<Stage>,
    /// Only this shard.
    #[arg(long)]
    pub shard: Option<u32>,
}

/// What to examine.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A run file, for its device, threads, run folder and private server.
    pub run_file: Option<PathBuf>,
    /// auto, cpu or cuda:N.
    #[arg(long)]
    pub device: Option<String>,
}

/// Which target to draw, and where.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The run file of the run that measured it.
    pub run_file: PathBuf,
    /// TARGETID.
    #[arg(long, allow_negative_numbers = true)]
    pub target: i64,
    /// Only in units whose id starts with this.
    #[arg(long)]
    pub unit: Option<String>,
    /// The picture: .png or .svg.
    #[arg(long)]
    pub out: PathBuf,
    /// The release tree, instead of [input] root.
    #[arg(long)]
    pub input: Option<PathBuf>,
    /// The run folder, instead of [output] folder.
    #[arg(long)]
    pub run_folder: Option<PathBuf>,
}

/// What to simulate.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The folder to write `spectro/redux/…` and the truth into.
    #[arg(long, required_unless_present = "samples")]
    pub out: Option<PathBuf>,
    /// Write the project's own sample files into this folder instead.
    #[arg(long, conflicts_with = "out")]
    pub samples: Option<PathBuf>,
    /// How many targets.
    #[arg(long, default_value_t = 2000)]
    pub targets: usize,
    /// Targets per file.
    #[arg(long, default_value_t = 500)]
    pub targets_per_unit: usize,
    /// The seed everything follows from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Release layouts to write.
    #[arg(long, value_enum, default_values_t = [ReleaseArg::Dr1])]
    pub release: Vec<ReleaseArg>,
    /// Healpix files, tile files or both.
    #[arg(long, value_enum, default_value_t = GroupingArg::Healpix)]
    pub grouping: GroupingArg,
    /// RESOLUTION matrices: in full, as holes of the right size, or left out.
    #[arg(long, value_enum, default_value_t = ResolutionArg::Sparse)]
    pub resolution: ResolutionArg,
    /// Write catalogues of the same targets too: those named or declared in a file (.toml), or every one that comes
    /// along.
    #[arg(long, value_name = "NAME", num_args = 0.., value_delimiter = ',', conflicts_with = "samples")]
    pub catalogs: Option<Vec<String>>,
    /// Write the catalogues alone, for millions of targets.
    #[arg(long, requires = "catalogs")]
    pub no_spectra: bool,
}

/// `--release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReleaseArg {
    /// Early Data Release (fuji).
    Edr,
    /// Data Release 1 (iron).
    Dr1,
    /// Data Release 2 (loa).
    Dr2,
}

/// `--grouping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GroupingArg {
    /// One file per pixel.
    Healpix,
    /// One file per tile and petal.
    Tile,
    /// Half of each.
    Both,
}

/// `--resolution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResolutionArg {
    /// As in genuine files.
    Full,
    /// Right offsets, holes on disk.
    Sparse,
    /// No RESOLUTION HDUs.
    None,
}
