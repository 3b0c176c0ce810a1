//! The stages: one word each, everywhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A step of the pipeline; its name is the CLI word, the output folder and the ledger value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Global: a release tree → `inventory.parquet`.
    Inventory,
    /// Map: coadd + redshifts → `features/`, `spectra/`.
    Extract,
}

impl Stage {
    /// Every stage, in the order data flows.
    pub const ALL: [Self; 2] = [Self::Inventory, Self::Extract];

    /// The stage's one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Extract => "extract",
        }
    }

    /// Changes whenever the bytes the stage leaves may change.
    pub fn version(self) -> u32 {
        match self {
            Self::Inventory | Self::Extract => 1,
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
