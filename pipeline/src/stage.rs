//! The stages: one word each, everywhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A step of the pipeline; its name is the CLI word, the output folder and the ledger value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Global: a release tree → `inventory.parquet`.
    Inventory,
    /// Map: catalogues' tables → `catalog/`, `catalog_raw/`.
    Catalog,
    /// Map: coadd + redshifts → `features/`, `spectra/`.
    Extract,
    /// Global: a seeded sample of `spectra/` → `models/`.
    FitBasis,
    /// Map: `spectra/` + models → `embeddings/`.
    Embed,
    /// Global: `embeddings/` → `neighbors/`, `scores/`.
    Neighbors,
    /// Sink: all of the above → PostgreSQL.
    Load,
}

/// What a stage sees of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageKind {
    /// One shard of the units and nothing else.
    Map,
    /// The whole collection, in one process.
    Global,
    /// The whole collection; it makes results visible.
    Sink,
}

impl Stage {
    /// Every stage, in the order data flows.
    pub const ALL: [Self; 7] = [
        Self::Inventory,
        Self::Catalog,
        Self::Extract,
        Self::FitBasis,
        Self::Embed,
        Self::Neighbors,
        Self::Load,
    ];

    /// The stage's one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Catalog => "catalog",
            Self::Extract => "extract",
            Self::FitBasis => "fit-basis",
            Self::Embed => "embed",
            Self::Neighbors => "neighbors",
            Self::Load => "load",
        }
    }

    /// What it sees of a run.
    pub fn kind(self) -> StageKind {
        match self {
            Self::Catalog | Self::Extract | Self::Embed => StageKind::Map,
            Self::Inventory | Self::FitBasis | Self::Neighbors => StageKind::Global,
            Self::Load => StageKind::Sink,
        }
    }

    /// Whether it computes on a device.
    pub fn computes(self) -> bool {
        match self {
            Self::Extract | Self::FitBasis | Self::Embed | Self::Neighbors => true,
            Self::Inventory | Self::Catalog | Self::Load => false,
        }
    }

    /// Changes whenever the bytes the stage leaves may change.
    pub fn version(self) -> u32 {
        match self {
            Self::Inventory => 2,
            Self::Catalog | Self::Extract | Self::FitBasis | Self::Embed | Self::Neighbors | Self::Load => 1,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|stage| stage.name() == text)
            .ok_or_else(|| format!("`{text}` is not a stage: use one of {}", names()))
    }
}
