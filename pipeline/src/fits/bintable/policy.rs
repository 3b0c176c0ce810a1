//! What becomes of values that may stand for nothing: declared, per table or per column.

use std::collections::BTreeMap;

/// NaN in floating-point columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NanPolicy {
    /// Stays NaN, to the bit.
    #[default]
    Keep,
    /// Becomes NULL; floating-point columns hold no other NULL, so it can be undone.
    Null,
}

/// The value that TNULL names in an integer column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TnullPolicy {
    /// NULL, unless TNULL is what a masked table left behind: 999999 cut to the column's width
    /// (999999, 16959, 63), which DESI files carry on columns without nulls, TARGETID included.
    #[default]
    Judge,
    /// NULL whatever the number.
    Honor,
    /// A value like any other.
    Ignore,
}

/// Bytes of a string that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextPolicy {
    /// An error that names the row.
    #[default]
    Refuse,
    /// Replaced by U+FFFD, and counted.
    Replace,
}

/// The three together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// NaN.
    pub nan: NanPolicy,
    /// TNULL.
    pub tnull: TnullPolicy,
    /// Strings.
    pub text: TextPolicy,
}

/// What is read of a table, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableOptions {
    /// The columns, in this order; all of them where `None`.
    pub columns: Option<Vec<String>>,
    /// For every column.
    pub policy: Policy,
    /// For single columns, by TTYPE.
    pub exceptions: BTreeMap<String, Policy>,
}

impl TableOptions {
    pub(super) fn policy_of(&self, name: &str) -> Policy {
        self.exceptions.get(name).copied().unwrap_or(self.policy)
    }
}
