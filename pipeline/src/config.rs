//! The run file as written: TOML under command-line flags, unknown keys rejected.

mod environment;
mod job;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use environment::Environment;
pub use job::{DatabaseSettings, GpuSettings, JobProfile, JobSettings, MetricsSettings, StorageSettings};

use crate::error::{Error, Result};

/// A run file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFile {
    /// What to read.
    pub input: Input,
    /// Catalogues to take in.
    pub catalog: Vec<CatalogInput>,
    /// Where to write.
    pub output: Output,
    /// Where redshifts come from.
    pub redshifts: Redshifts,
    /// How spectra are measured.
    pub extract: Extract,
    /// The rest-frame grid of each class.
    pub grids: Grids,
    /// One basis a class.
    pub models: Models,
    /// How bases are fitted.
    #[serde(rename = "fit-basis")]
    pub fit_basis: FitBasis,
    /// How spectra become vectors.
    pub embed: Embed,
    /// How neighbours are found.
    pub neighbors: Neighbors,
    /// How rows get into PostgreSQL.
    pub load: Load,
    /// How vectors are indexed there.
    pub index: Index,
    /// What the run may use; never changes a byte of the result.
    pub resources: Resources,
    /// How it becomes Kubernetes Jobs.
    pub job: JobSettings,
}

/// `[input]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// A folder that holds `spectro/redux/<specprod>/…`, or a `<specprod>` folder.
    pub root: PathBuf,
    /// Single files instead of a tree.
    pub files: Vec<PathBuf>,
    /// The production; needed for files outside a tree, a filter inside one.
    pub specprod: String,
    /// Only units whose id starts with one of these (all where empty).
    pub units: Vec<String>,
    /// More declarations of catalogues: files, or folders of them.
    pub declarations: Vec<PathBuf>,
    /// `full` reads every input once for its SHA-256; `none` leaves digests out.
    pub digest: DigestSetting,
}

/// `[[catalog]]`: one catalogue's files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CatalogInput {
    /// Its declaration: the stem of a file in `schemas/catalogs/` or of one that `[input] declarations` brings.
    pub name: String,
    /// Instead of a name: the table of `catalog_raw` that takes its columns as they are.
    pub raw: String,
    /// Its files, relative to `[input] root`; `*`, `?` and `[…]` stand for many.
    pub files: Vec<PathBuf>,
    /// Its release, where the files do not show it.
    pub release: String,
    /// The production its targets are of, where neither the declaration nor the files' names tell.
    pub specprod: String,
    /// Only these of its tables (all where empty).
    pub tables: Vec<String>,
    /// The HDU of a raw table; may be left out where a file has only one.
    pub hdu: String,
}

/// How inputs are identified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestSetting {
    /// SHA-256 of every file.
    #[default]
    Full,
    /// No digest.
    None,
}

/// `[output]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// The run folder.
    pub folder: PathBuf,
}

/// `[redshifts]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Redshifts {
    /// The redrock file beside each coadd, or one catalogue for all.
    pub source: RedshiftSource,
    /// The catalogue file.
    pub path: PathBuf,
    /// Its HDU; the first table where empty.
    pub hdu: String,
    /// Column of the TARGETID.
    pub targetid: String,
    /// Column of the redshift.
    pub z: String,
    /// Column of its error, if any.
    pub zerr: String,
    /// Column of ZWARN, if any.
    pub zwarn: String,
    /// Column of DELTACHI2, if any.
    pub deltachi2: String,
    /// Column of SPECTYPE, if any.
    pub spectype: String,
    /// Column of SUBTYPE, if any.
    pub subtype: String,
    /// The class of every row where the catalogue has no SPECTYPE.
    pub default_spectype: String,
}

/// Where redshifts come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedshiftSource {
    /// The redrock file of the same unit.
    #[default]
    Redrock,
    /// One catalogue keyed by TARGETID.
    Catalog,
}

/// `[extract]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extract {
    /// `dr1`, `masked` or `0.70`.
    pub mask_rule: String,
    /// Targets with any of these ZWARN bits are skipped; others are measured and flagged.
    pub skip_zwarn_bits: Vec<u8>,
    /// Whether Galactic extinction is removed.
    pub correct_extinction: bool,
    /// Whether rest-frame spectra are written.
    pub write_spectra: bool,
    /// Lowest redshift accepted.
    pub z_min: f64,
    /// Highest redshift accepted.
    pub z_max: f64,
}

/// `[grids.galaxy]`, `[grids.qso]`, `[grids.star]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grids {
    /// SPECTYPE GALAXY.
    pub galaxy: GridSetting,
    /// SPECTYPE QSO.
    pub qso: GridSetting,
    /// SPECTYPE STAR.
    pub star: GridSetting,
}

/// A logarithmic rest-frame grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GridSetting {
    /// First wavelength, Å.
    pub min_aa: f64,
    /// Last wavelength is at most this, Å.
    pub max_aa: f64,
    /// Step in log10 of the wavelength.
    pub dlog10: f64,
}

/// `[models.galaxy]`, `[models.qso]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ModelsAsWritten")]
pub struct Models {
    /// SPECTYPE GALAXY.
    pub galaxy: ModelSetting,
    /// SPECTYPE QSO.
    pub qso: ModelSetting,
}

/// The model of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSetting {
    /// Its name: folder and ledger word; empty leaves the class without embeddings.
    pub name: String,
    /// A model folder fitted elsewhere; empty = fitted by this run.
    pub folder: PathBuf,
    /// Components of the basis = dimension of the vectors.
    pub components: usize,
    /// Pixels of the filter that smooths components, odd; 0 = none.
    pub smooth_pixels: usize,
}

/// `[models]` as a run file has it: what is left out is the class's default.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelsAsWritten {
    galaxy: ModelAsWritten,
    qso: ModelAsWritten,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelAsWritten {
    name: Option<String>,
    folder: Option<PathBuf>,
    components: Option<usize>,
    smooth_pixels: Option<usize>,
}

impl ModelAsWritten {
    fn over(self, default: ModelSetting) -> ModelSetting {
        ModelSetting {
            name: self.name.unwrap_or(default.name),
            folder: self.folder.unwrap_or(default.folder),
            components: self.components.unwrap_or(default.components),
            smooth_pixels: self.smooth_pixels.unwrap_or(default.smooth_pixels),
        }
    }
}

impl From<ModelsAsWritten> for Models {
    fn from(written: ModelsAsWritten) -> Self {
        let default = Self::default();
        Self { galaxy: written.galaxy.over(default.galaxy), qso: written.qso.over(default.qso) }
    }
}

/// `[fit-basis]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitBasis {
    /// Spectra per class, at most.
    pub sample: usize,
    /// What the sample and the first components are drawn from.
    pub seed: u64,
    /// Only spectra with at least this median S/N per pixel.
    pub min_snr: f64,
    /// Only spectra with at least this share of good pixels.
    pub min_good_fraction: f64,
    /// Iterations at most.
    pub max_iterations: usize,
    /// Converged where chi-square falls by less than this share.
    pub tolerance: f64,
}

/// `[embed]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Embed {
    /// Less than this share of good pixels is empty (coverage).
    pub min_good_fraction: f64,
    /// An element whose variance is more than this share of its scatter over the sample makes the vector
    /// empty (variance).
    pub max_variance: f64,
    /// A spectrum whose amplitude is below this many standard errors is empty (amplitude).
    pub min_amplitude_snr: f64,
}

/// `[neighbors]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbors {
    /// Neighbours listed for each target.
    pub k: usize,
    /// The k of the k-NN distance score, among other targets.
    pub score_k: usize,
    /// `l2`, `cosine` or both.
    pub metrics: Vec<Metric>,
}

/// How far apart two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Euclidean distance.
    L2,
    /// 1 − cosine of the angle.
    Cosine,
}

impl Metric {
    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::Cosine => "cosine",
        }
    }
}

/// `[load]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    /// Whether a run without `--stage` ends in the database.
    pub enabled: bool,
    /// Connections at most; 0 = from the server's limits and the cores.
    pub connections: usize,
}

/// `[index]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    /// `hnsw`, or `ivfflat` where memory is small.
    pub method: IndexMethod,
    /// HNSW: links per node.
    pub m: u16,
    /// HNSW: candidates while building.
    pub ef_construction: u16,
    /// `vector` (single precision) or `halfvec`.
    pub precision: IndexPrecision,
    /// Where recall is measured: HNSW's ef_search, or IVFFlat's probes.
    pub ef_search: Vec<u16>,
}

/// How vectors are indexed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexMethod {
    /// Hierarchical navigable small worlds.
    #[default]
    Hnsw,
    /// Inverted lists.
    Ivfflat,
}

/// What an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexPrecision {
    /// 32 bits an element.
    #[default]
    Vector,
    /// 16 bits an element; candidates are ranked again at 32.
    Halfvec,
}

/// `[resources]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Compute threads; 0 = one per core.
    pub threads: usize,
    /// Targets per batch; 0 = as the device likes it.
    pub batch_rows: usize,
    /// Units worked on at once; 0 = from the threads.
    pub units_in_flight: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self { folder: PathBuf::from("run") }
    }
}

impl Default for Redshifts {
    fn default() -> Self {
        let empty = String::new;
        Self {
            source: RedshiftSource::Redrock,
            path: PathBuf::new(),
            hdu: empty(),
            targetid: "TARGETID".to_owned(),
            z: "Z".to_owned(),
            zerr: empty(),
            zwarn: empty(),
            deltachi2: empty(),
            spectype: empty(),
            subtype: empty(),
            default_spectype: empty(),
        }
    }
}

impl Default for Extract {
    fn default() -> Self {
        Self {
            mask_rule: "masked".to_owned(),
            // SKY, UNPLUGGED, BAD_TARGET, NODATA: no spectrum of an object.
            skip_zwarn_bits: vec![0, 7, 8, 9],
            correct_extinction: true,
            write_spectra: true,
            z_min: -0.01,
            z_max: 8.0,
        }
    }
}

impl Default for Grids {
    fn default() -> Self {
        let grid = |min_aa, max_aa| GridSetting { min_aa, max_aa, dlog10: 1e-4 };
        Self { galaxy: grid(2400.0, 9800.0), qso: grid(912.0, 7000.0), star: grid(3500.0, 9850.0) }
    }
}

impl Default for Models {
    fn default() -> Self {
        let model = |name: &str, components, smooth_pixels| ModelSetting {
            name: name.to_owned(),
            folder: PathBuf::new(),
            components,
            smooth_pixels,
        };
        // Each galaxy covers its own half of the grid: more components are known too badly in too many of them.
        // A broad-line spectrum has nothing narrower than the filter; a galaxy's lines are 2 to 5 pixels.
        Self { galaxy: model("galaxy-empca", 5, 5), qso: model("qso-empca", 10, 15) }
    }
}

impl Default for FitBasis {
    fn default() -> Self {
        Self {
            sample: 4000,
            seed: 1,
            min_snr: 1.0,
            min_good_fraction: 0.3,
            max_iterations: 50,
            tolerance: 1e-4,
        }
    }
}

impl Default for Embed {
    fn default() -> Self {
        Self { min_good_fraction: 0.25, max_variance: 1.0, min_amplitude_snr: 5.0 }
    }
}

impl Default for Neighbors {
    fn default() -> Self {
        Self { k: 16, score_k: 10, metrics: vec![Metric::L2] }
    }
}

impl Default for Index {
    fn default() -> Self {
        // pgvector's own defaults for the graph.
        Self {
            method: IndexMethod::Hnsw,
            m: 16,
            ef_construction: 64,
            precision: IndexPrecision::Vector,
            ef_search: vec![40, 100, 200],
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self { device: "auto".to_owned(), threads: 0, batch_rows: 0, units_in_flight: 0 }
    }
}

impl RunFile {
    /// Reads a run file.
    ///
    /// # Errors
    /// Where it cannot be read, is not TOML, or holds a key nobody knows.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)
            .map_err(|source| Error::RunFileUnreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Parses the text of a run file; `path` is only for messages.
    ///
    /// # Errors
    /// Where it is not TOML or holds a key nobody knows.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let invalid = |source: toml::de::Error| Error::RunFileInvalid {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let mut unknown = Vec::new();
        let run_file =
            serde_ignored::deserialize(toml::de::Deserializer::parse(text).map_err(invalid)?, |key| {
                unknown.push(key.to_string())
            })
            .map_err(invalid)?;
        if unknown.is_empty() {
            Ok(run_file)
        } else {
            let unknown = unknown.iter().map(|key| describe_unknown(key)).collect();
            Err(Error::UnknownKeys { path: path.to_owned(), unknown })
        }
    }
}

/// Every key a run file may have, as `table.key`, read off the defaults so that it cannot go stale.
fn known_keys() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(toml::Value::Table(table)) = toml::Value::try_from(RunFile::default()) {
        collect_keys(&table, "", &mut keys);
    }
    keys
}

/// The keys of a `[[catalog]]`, of which the defaults have none.
fn catalog_keys() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(toml::Value::Table(table)) = toml::Value::try_from(CatalogInput::default()) {
        collect_keys(&table, "catalog", &mut keys);
    }
    keys
}

fn collect_keys(table: &toml::Table, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in table {
        let full = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let toml::Value::Table(inner) = value {
            collect_keys(inner, &full, keys);
        }
        keys.push(full);
    }
}

fn describe_unknown(key: &str) -> String {
    // Less alike than this and a suggestion misleads more than it helps.
    const ALIKE: f64 = 0.75;
    // An array of tables has a number in its keys.
    let plain: Vec<&str> = key.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let key = plain.join(".");
    let best = known_keys()
        .into_iter()
        .chain(catalog_keys())
        .map(|known| (strsim::jaro_winkler(&key, &known), known))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match best {
        Some((_, known)) => format!("unknown key `{key}`; did you mean `{known}`?"),
        None => format!("unknown key `{key}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_an_error_that_names_the_right_key() {
        let error = RunFile::parse("[extract]\nmask_rul = \"dr1\"\n", Path::new("run.toml")).unwrap_err();
        assert!(error.to_string().contains("did you mean `extract.mask_rule`?"), "{error}");
    }

    #[test]
    fn a_misspelt_table_is_an_error() {
        let error = RunFile::parse("[extracts]\nmask_rule = \"dr1\"\n", Path::new("run.toml")).unwrap_err();
        assert!(error.to_string().contains("did you mean `extract`?"), "{error}");
    }

    #[test]
    fn a_typo_in_a_catalogue_is_an_error_that_names_the_right_key() {
        let text = "[[catalog]]\nname = \"zall-pix\"\nspecprd = \"iron\"\n";
        let error = RunFile::parse(text, Path::new("run.toml")).unwrap_err();
        let expected = "unknown key `catalog.specprd`; did you mean `catalog.specprod`?";
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn a_model_keeps_its_class_s_defaults_where_the_run_file_says_nothing() {
        let text = "[models.qso]\ncomponents = 20\n";
        let run_file = RunFile::parse(text, Path::new("run.toml")).unwrap();
        let defaults = Models::default();
        assert_eq!(run_file.models.qso, ModelSetting { components: 20, ..defaults.qso });
        assert_eq!(run_file.models.galaxy, defaults.galaxy);
        let error = RunFile::parse("[models.qso]\nnames = \"\"\n", Path::new("run.toml")).unwrap_err();
        assert!(error.to_string().contains("`models.qso.names`"), "{error}");
    }

    #[test]
    fn an_empty_run_file_is_the_defaults() {
        assert_eq!(RunFile::parse("", Path::new("run.toml")).unwrap(), RunFile::default());
    }

    #[test]
    fn the_reference_run_file_lists_every_setting_with_its_default() {
        let text = include_str!("../../jobs/runs/reference.toml");
        let mut reference = RunFile::parse(text, Path::new("reference.toml")).unwrap();
        reference.input.root = PathBuf::new();
        assert_eq!(reference, RunFile::default());
        let written: toml::Value = toml::from_str(text).unwrap();
        let mut keys = Vec::new();
        collect_keys(written.as_table().unwrap(), "", &mut keys);
        keys.sort();
        let mut known = known_keys();
        known.sort();
        assert_eq!(keys, known);
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_line() {
        let error = RunFile::parse("[resources]\nthreads = \"two\"\n", Path::new("run.toml")).unwrap_err();
        let Error::RunFileInvalid { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().contains("line 2"), "{source}");
    }
}
