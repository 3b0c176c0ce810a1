//! A model folder: a basis with its card, named by the hash of its content.

mod card;
mod embedder;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array};
use arrow::datatypes::{Float32Type, Int32Type};
use serde_json::json;
use sha2::{Digest, Sha256};
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_schemas::model::{basis, component};

pub use card::{Card, GridCard, Training};
pub(crate) use embedder::{Embedded, Embedder};

use crate::class::Class;
use crate::columns::Columns;
use crate::digest::hex;
use crate::error::{Error, Result};
use crate::lake::LakeFile;
use crate::ledger::FileRecord;
use crate::sink::{self, Footer, TableWriter};

/// The embedder of this program, as cards name it.
pub const EMBEDDER: &str = "empca";
/// Changes whenever the vectors of one model may.
pub const EMBEDDER_VERSION: u32 = 1;

/// Components of a basis at most, here and in the kernels.
pub(crate) const MAX_COMPONENTS: usize = 64;

const ROWS_PER_GROUP: usize = 65_536;
const BASIS: &str = "model.parquet";
pub(crate) const SAMPLE: &str = "sample.parquet";
const CARD: &str = "card.toml";
const CARD_MARKDOWN: &str = "card.md";

/// A fitted basis.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it is.
    pub card: Card,
    /// Mean spectrum, [p].
    pub mean_p: Vec<f32>,
    /// Spectra behind each pixel, [p].
    pub n_spectra_p: Vec<u32>,
    /// Components, [k, p].
    pub basis_kp: Vec<f32>,
}

/// Removes a model folder's files: its fit no longer stands.
///
/// # Errors
/// Where the disk refuses.
pub(crate) fn remove(run_folder: &Path, name: &str) -> Result<()> {
    let folder = folder(run_folder, name);
    for file in [BASIS, SAMPLE, CARD, CARD_MARKDOWN] {
        sink::remove_stale(&folder.join(file))?;
    }
    Ok(())
}

/// Where a run keeps the models it fitted.
pub(crate) fn folder(run_folder: &Path, name: &str) -> PathBuf {
    run_folder.join("models").join(name)
}

impl Model {
    /// The class of spectra it is for.
    ///
    /// # Errors
    /// [`Error::Model`] where the card names no class.
    pub(crate) fn class(&self, folder: &Path) -> Result<Class> {
        Class::from_spectype(&self.card.class).ok_or_else(|| Error::Model {
            folder: folder.to_owned(),
            problem: format!("`{}` is not a class", self.card.class),
        })
    }

    /// The hash of everything that decides a vector.
    pub(crate) fn content_hash(&self) -> String {
        let card = &self.card;
        let identity = json!({
            "embedder": &card.embedder,
            "embedder_version": card.embedder_version,
            "class": &card.class,
            "dimension": card.dimension,
            "normalization": &card.normalization,
            "grid": &card.grid,
            "sample": &card.training.sample_sha256,
        });
        let mut hash = Sha256::new();
        hash.update(identity.to_string());
        for values in [&card.component_sd, &self.mean_p, &self.basis_kp] {
            for value in values {
                hash.update(value.to_le_bytes());
            }
        }
        for count in &self.n_spectra_p {
            hash.update(count.to_le_bytes());
        }
        hex(&hash.finalize())
    }

    /// Writes the folder; the card comes last.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn write(
        &self,
        run_folder: &Path,
        grid: &RestGrid,
        footer: Footer,
    ) -> Result<Vec<FileRecord>> {
        let folder = folder(run_folder, &self.card.name);
        let path = folder.join(BASIS);
        let table = basis(self.card.dimension);
        let mut writer = TableWriter::create(&path, run_folder, &table, ROWS_PER_GROUP, footer)?;
        let batch = self
            .columns(grid)
            .into_batch(writer.schema())
            .map_err(|source| Error::Batch { path: path.clone(), source: Box::new(source) })?;
        writer.append(batch)?;
        let mut records = vec![writer.finish()?.commit(run_folder)?];
        let toml = toml::to_string_pretty(&self.card)
            .map_err(|error| Error::Model { folder: folder.clone(), problem: error.to_string() })?;
        for (name, text) in [(CARD_MARKDOWN, self.card.markdown()), (CARD, toml)] {
            let path = folder.join(name);
            sink::write_record(run_folder, &path, text.as_bytes())?;
            records.push(FileRecord {
                path: path.strip_prefix(run_folder).unwrap_or(&path).display().to_string(),
                bytes: text.len() as u64,
                sha256: Some(crate::digest::sha256_hex(text.as_bytes())),
            });
        }
        Ok(records)
    }

    fn columns(&self, grid: &RestGrid) -> Columns {
        let n_pixels = self.mean_p.len();
        let float = |values: &[f32]| -> ArrayRef { Arc::new(Float32Array::from(values.to_vec())) };
        let mut columns = Columns::new(n_pixels);
        columns.put("wavelength", Arc::new(Float64Array::from(grid.wave_aa().to_vec())));
        let counts = self.n_spectra_p.iter().map(|&count| i32::try_from(count).unwrap_or(i32::MAX));
        columns.put("n_spectra", Arc::new(Int32Array::from_iter_values(counts)));
        columns.put("mean", float(&self.mean_p));
        for (k, values) in self.basis_kp.chunks_exact(n_pixels.max(1)).enumerate() {
            columns.put(component(k + 1), float(values));
        }
        columns
    }

    /// Reads a model folder and checks it against its own hash.
    ///
    /// # Errors
    /// [`Error::Model`] where a file is missing, damaged, or not what the card says.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::Model { folder: folder.to_owned(), problem };
        let text = fs_err::read_to_string(folder.join(CARD)).map_err(|error| wrong(error.to_string()))?;
        let card: Card = toml::from_str(&text).map_err(|error| wrong(format!("{CARD}: {error}")))?;
        if (card.embedder.as_str(), card.embedder_version) != (EMBEDDER, EMBEDDER_VERSION) {
            return Err(wrong(format!(
                "is for embedder {} version {}; this program has {EMBEDDER} version {EMBEDDER_VERSION}",
                card.embedder, card.embedder_version
            )));
        }
        let model = Self::read_basis(folder, card)?;
        let hash = model.content_hash();
        if hash != model.card.model_hash {
            return Err(wrong(format!(
                "its content has hash {hash}, but its card says {}",
                model.card.model_hash
            )));
        }
        Ok(model)
    }

    fn read_basis(folder: &Path, card: Card) -> Result<Self> {
        let file = LakeFile::open(&folder.join(BASIS))?;
        let (n_pixels, dimension) = (card.grid.n_pixels, card.dimension);
        let fits = file.n_rows() == n_pixels && card.component_sd.len() == dimension;
        // Bounds what a card can make this program allocate, and what its scales can do to a vector.
        let sound = card.component_sd.iter().all(|sd| sd.is_finite() && *sd > 0.0);
        if !fits || !sound || !(1..=MAX_COMPONENTS).contains(&dimension) {
            return Err(file.wrong(format!(
                "{} pixels and {} positive standard deviations, but the card says {n_pixels} and {dimension} (of at \
                 most {MAX_COMPONENTS})",
                file.n_rows(),
                card.component_sd.iter().filter(|sd| **sd > 0.0).count()
            )));
        }
        let names: Vec<String> = (1..=dimension).map(component).collect();
        let columns: Vec<&str> =
            ["n_spectra", "mean"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let mut model = Self {
            card,
            mean_p: Vec::new(),
            n_spectra_p: Vec::new(),
            basis_kp: vec![0.0; dimension * n_pixels],
        };
        for rows in file.read(&columns, n_pixels)? {
            let rows = rows?;
            let first = model.mean_p.len();
            model.mean_p.extend_from_slice(rows.values::<Float32Type>("mean")?);
            let counts = rows.values::<Int32Type>("n_spectra")?;
            model.n_spectra_p.extend(counts.iter().map(|&count| u32::try_from(count).unwrap_or(0)));
            for (k, name) in names.iter().enumerate() {
                let values = rows.values::<Float32Type>(name)?;
                model.basis_kp[k * n_pixels + first..][..values.len()].copy_from_slice(values);
            }
        }
        Ok(model)
    }
}
