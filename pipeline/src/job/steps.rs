//! The steps of a run in a cluster: its stages, and what follows them once all their shards are done.

use crate::config::{JobProfile, RunFile};
use crate::plan::stages_of;
use crate::stage::{Stage, StageKind};

/// What a step's pods do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A stage, each pod its share of it.
    Shards(Stage),
    /// A stage, in one pod.
    Whole(Stage),
    /// What the shards of `catalog` leave to one: keys are unique over all of a table.
    CatalogKeys,
    /// The ledger of all stages as one table, and what is left or wrong.
    Account,
}

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    /// What its pods do.
    pub(super) task: Task,
    /// Its place in the order, and first part of its file's name.
    pub(super) number: u8,
}

impl Task {
    /// The stage's word, or what else it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shards(stage) | Self::Whole(stage) => stage.name(),
            Self::CatalogKeys => "catalog-keys",
            Self::Account => "account",
        }
    }

    /// Whether its pods have a share each.
    pub(super) fn is_indexed(self) -> bool {
        matches!(self, Self::Shards(_))
    }

    /// Whether it computes on a card.
    pub(super) fn is_on_card(self, profile: JobProfile) -> bool {
        let computes = match self {
            Self::Shards(stage) | Self::Whole(stage) => stage.computes(),
            Self::CatalogKeys | Self::Account => false,
        };
        computes && profile == JobProfile::Gpu
    }
}

/// The steps that a run file asks for, in order.
pub(super) fn steps_of(run_file: &RunFile) -> Vec<Planned> {
    let mut steps = Vec::new();
    let asked = stages_of(run_file);
    for (stage, tens) in Stage::ALL.into_iter().zip(1_u8..) {
        // All shards go by one inventory; one of catalogues is taken where there are no spectra, too.
        if stage != Stage::Inventory && !asked.contains(&stage) {
            continue;
        }
        let number = 10 * tens;
        let task = match stage.kind() {
            StageKind::Map => Task::Shards(stage),
            StageKind::Global | StageKind::Sink => Task::Whole(stage),
        };
        steps.push(Planned { task, number });
        if stage == Stage::Catalog {
            steps.push(Planned { task: Task::CatalogKeys, number: number + 1 });
        }
    }
    steps.push(Planned { task: Task::Account, number: 80 });
    steps
}
