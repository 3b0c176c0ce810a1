//! The three classes redrock knows, and the rest-frame grid of each.

use std::fmt;

/// What redrock fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// SPECTYPE GALAXY.
    Galaxy,
    /// SPECTYPE QSO.
    Qso,
    /// SPECTYPE STAR.
    Star,
}

impl Class {
    /// Every class, in a fixed order.
    pub const ALL: [Self; 3] = [Self::Galaxy, Self::Qso, Self::Star];

    /// The class of a SPECTYPE.
    pub fn from_spectype(spectype: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(spectype))
    }

    /// The lower-case name, also its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Galaxy => "galaxy",
            Self::Qso => "qso",
            Self::Star => "star",
        }
    }

    /// The class's place in [`Class::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::Galaxy => 0,
            Self::Qso => 1,
            Self::Star => 2,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
