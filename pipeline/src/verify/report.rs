//! What a comparison of two run folders found, as `--report` writes it.

use serde::{Deserialize, Serialize};

use super::column::ColumnDifference;
use crate::stage::Stage;

/// How two runs stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The same units, the same accounts but for their seconds, the same bytes.
    Identical,
    /// The same rows under the same keys, every value within `max_ulp`.
    EqualWithinTolerance,
    /// Anything else.
    Different,
}

impl Verdict {
    /// The words for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::EqualWithinTolerance => "equal within tolerance",
            Self::Different => "different",
        }
    }
}

/// Why two runs are different; what may be the cause of the others comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// Units that one of them has no account of.
    Units,
    /// Files that are not, or no longer, what their accounts say, and an inventory that is gone.
    Damaged,
    /// Stage hashes differ with settings, catalogues or models.
    Settings,
    /// The release's files, or those of catalogues, have another content.
    Inputs,
    /// Stage hashes, or values, differ and the settings do not: versions, constants.
    Code,
    /// Units that ended in another state or with other counts.
    States,
    /// Tables with other rows or columns.
    Rows,
    /// Other values.
    Values,
    /// Files that no account speaks of.
    Stray,
}

/// Everything found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// How the two stand to each other.
    pub(crate) verdict: Verdict,
    /// Why they are different, most important first, each with a phrase.
    pub(crate) causes: Vec<(Cause, String)>,
    /// The first folder.
    pub(crate) a: Side,
    /// The second folder.
    pub(crate) b: Side,
    /// Values this many units in the last place apart were taken for equal.
    pub(crate) max_ulp: u64,
    /// Accounts that are the same but for seconds.
    pub(crate) accounts_equal: u64,
    /// Accounts that are not.
    pub(crate) accounts: Vec<AccountDifference>,
    /// Units that only A has an account of.
    pub(crate) only_a: Vec<UnitOf>,
    /// Units that only B has an account of.
    pub(crate) only_b: Vec<UnitOf>,
    /// What decides stage hashes and is not the same.
    pub(crate) settings: Vec<SettingDifference>,
    /// Files of the same bytes.
    pub(crate) files_equal: u64,
    /// Files of other bytes.
    pub(crate) files: Vec<FileDifference>,
    /// Files that are not what their account says.
    pub(crate) damaged: Vec<Damage>,
    /// Files in the folders of results that no account speaks of.
    pub(crate) stray: Vec<Stray>,
    /// Columns over all files of a kind, worst first.
    pub(crate) columns: Vec<ColumnSummary>,
    /// The largest distance of two values in units in the last place, where any differ and can be counted so.
    pub(crate) largest_ulp: Option<u64>,
    /// What was left out of the verdict, in sentences.
    pub(crate) notes: Vec<String>,
}

/// One of the two folders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Where it is.
    pub(crate) folder: String,
    /// The newest run in it.
    pub(crate) run_id: Option<String>,
    /// Versions and commits of the program that ran in it.
    pub(crate) code: Vec<String>,
}

/// Which of the two folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Which {
    /// The first.
    A,
    /// The second.
    B,
}

/// A unit of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnitOf {
    /// The stage.
    pub(crate) stage: Stage,
    /// The unit.
    pub(crate) unit: String,
}

/// A unit with two accounts that are not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountDifference {
    /// The stage.
    pub(crate) stage: Stage,
    /// The unit.
    pub(crate) unit: String,
    /// What differs.
    pub(crate) changes: Vec<(Part, Change)>,
}

/// A part of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// How it ended.
    State,
    /// Why, without where the run lay.
    Reason,
    /// The settings and versions it was made under.
    StageHash,
    /// Rows, by state and reason.
    Rows,
    /// What was read, by content.
    Inputs,
    /// Which files were left.
    Outputs,
    /// Things worth knowing.
    Notes,
}

impl Part {
    /// The ledger's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Reason => "reason",
            Self::StageHash => "stage_hash",
            Self::Rows => "rows",
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
            Self::Notes => "notes",
        }
    }
}

/// A value on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Its name, where it needs one.
    pub(crate) name: String,
    /// In A; NULL where A has none.
    pub(crate) a: Option<String>,
    /// In B; NULL where B has none.
    pub(crate) b: Option<String>,
}

/// Something that decides a stage hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingDifference {
    /// What it is.
    pub(crate) kind: SettingKind,
    /// The run file's key, or the name of a version or a content, and both values.
    pub(crate) change: Change,
}

/// What decides a stage hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SettingKind {
    /// A key of the run file.
    Setting,
    /// A catalogue, a declaration or a model by its content.
    Content,
    /// A stage's version or the constants.
    Code,
}

/// A file that is not what its account says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Damage {
    /// Where.
    pub(crate) side: Which,
    /// Relative to the run folder.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) problem: String,
}

/// A file that no account speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stray {
    /// Where.
    pub(crate) side: Which,
    /// Relative to the run folder.
    pub(crate) path: String,
}

/// Two files of one path and other bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileDifference {
    /// Relative to the run folders.
    pub(crate) path: String,
    /// Sizes.
    pub(crate) bytes: [u64; 2],
    /// How far apart they are.
    pub(crate) degree: Degree,
    /// Why they could not be compared, where they could not.
    pub(crate) problem: Option<String>,
    /// Of tables.
    pub(crate) table: Option<TableDifference>,
    /// Of files with keys: what differs under which.
    pub(crate) keys: Vec<Change>,
    /// Of other files: the first byte that differs, from 0.
    pub(crate) first_byte: Option<u64>,
}

/// How far apart two files of other bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Degree {
    /// The same values in other bytes, or other facts that are no values.
    SameValues,
    /// Values within `max_ulp`.
    WithinTolerance,
    /// Other values.
    OtherValues,
    /// Other rows, columns or types.
    OtherShape,
}

/// Two tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableDifference {
    /// Rows.
    pub(crate) rows: [u64; 2],
    /// Columns that only A has.
    pub(crate) only_a: Vec<String>,
    /// Columns that only B has.
    pub(crate) only_b: Vec<String>,
    /// Columns of another type.
    pub(crate) types: Vec<Change>,
    /// The footers, by key, and what columns say of themselves.
    pub(crate) footer: Vec<Change>,
    /// The first row where the key columns differ: rows are compared by their place.
    pub(crate) first_other_key: Option<u64>,
    /// Columns with values that differ.
    pub(crate) columns: Vec<ColumnDifference>,
}

/// A column over all files of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ColumnSummary {
    /// The kind of file: `features`, `spectra/GALAXY`, …
    pub(crate) table: String,
    /// Files with values that differ.
    pub(crate) files: u64,
    /// The first of them.
    pub(crate) first_file: String,
    /// Sums and maxima over all of them; its first row is the first file's.
    pub(crate) column: ColumnDifference,
}
