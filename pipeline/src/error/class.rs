//! What kind of thing went wrong: words few enough to count by.

use std::error::Error as StdError;
use std::io;

use specmill_kernels::KernelError;

use super::Error;
use super::reason_of;
use crate::fits::FitsError;
use crate::inventory::InventoryError;
use crate::sink::postgres::DatabaseError;
use crate::stages::CatalogError;

/// A failure's class; what happened in particular stands in its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// A file of the input cannot be opened or read.
    InputUnreadable,
    /// A file of the input is cut off, garbled or no FITS file.
    InputDamaged,
    /// A file of the input is whole, but not what its kind must be.
    InputUnexpected,
    /// The inventory, or the survey of catalogues, found the file unfit.
    Inventory,
    /// A row repeats another's key.
    DuplicateKey,
    /// Something it needs does not exist.
    MissingUpstream,
    /// The run file or the command line.
    Settings,
    /// The device failed, or cannot be had.
    Device,
    /// The device has too little memory.
    DeviceMemory,
    /// An operation refused its arguments, or a device gives other bits than the CPU.
    Kernel,
    /// A file of the run folder is not what its account says.
    Lake,
    /// A record of the ledger or of a run cannot be understood.
    Record,
    /// No space is left.
    DiskFull,
    /// A file cannot be written or read, of the run folder above all.
    Output,
    /// The database cannot be reached, is not fit, or refuses everything.
    Database,
    /// The database, or this program on its behalf, refused a row.
    DatabaseRow,
    /// None of these.
    Other,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 17] = [
        Self::InputUnreadable,
        Self::InputDamaged,
        Self::InputUnexpected,
        Self::Inventory,
        Self::DuplicateKey,
        Self::MissingUpstream,
        Self::Settings,
        Self::Device,
        Self::DeviceMemory,
        Self::Kernel,
        Self::Lake,
        Self::Record,
        Self::DiskFull,
        Self::Output,
        Self::Database,
        Self::DatabaseRow,
        Self::Other,
    ];

    /// The word that metrics count it under.
    pub fn name(self) -> &'static str {
        match self {
            Self::InputUnreadable => "input_unreadable",
            Self::InputDamaged => "input_damaged",
            Self::InputUnexpected => "input_unexpected",
            Self::Inventory => "inventory",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingUpstream => "missing_upstream",
            Self::Settings => "settings",
            Self::Device => "device",
            Self::DeviceMemory => "device_memory",
            Self::Kernel => "kernel",
            Self::Lake => "lake",
            Self::Record => "record",
            Self::DiskFull => "disk_full",
            Self::Output => "output",
            Self::Database => "database",
            Self::DatabaseRow => "database_row",
            Self::Other => "other",
        }
    }

    /// The class of an error: that of the first in its chain of causes which has one.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let class = error
                .downcast_ref::<Error>()
                .map(of_error)
                .or_else(|| error.downcast_ref::<FitsError>().map(of_fits))
                .or_else(|| error.downcast_ref::<CatalogError>().map(of_catalog))
                .or_else(|| error.downcast_ref::<KernelError>().map(of_kernel))
                .or_else(|| error.downcast_ref::<DatabaseError>().map(of_database));
            if let Some(class) = class {
                return class;
            }
            next = error.source();
        }
        Self::Other
    }
}

fn of_error(error: &Error) -> ErrorClass {
    match error {
        Error::Fits(error) => of_fits(error),
        Error::Catalog(error) => of_catalog(error),
        Error::Kernel(error) => of_kernel(error),
        Error::Database(error) => of_database(error),
        Error::Inventory(error) => of_inventory(error),
        Error::SelfTest { .. } => ErrorClass::Kernel,
        Error::Io { source, .. } => of_output(source),
        Error::Parquet { source, .. } => match source.source().and_then(|source| source.downcast_ref()) {
            Some(source) => of_output(source),
            None => ErrorClass::Output,
        },
        Error::Lake { .. } | Error::Model { .. } => ErrorClass::Lake,
        Error::Record { .. } => ErrorClass::Record,
        Error::RunFileUnreadable { .. }
        | Error::RunFileInvalid { .. }
        | Error::UnknownKeys { .. }
        | Error::Setting { .. }
        | Error::Argument { .. }
        | Error::NoSuchTarget { .. } => ErrorClass::Settings,
        Error::NoInventory { .. } | Error::NotFitted { .. } => ErrorClass::MissingUpstream,
        #[cfg(feature = "joins")]
        Error::Join(_) => ErrorClass::Lake,
        Error::Batch { .. }
        | Error::Drawing { .. }
        | Error::Interrupted
        | Error::Job(_)
        | Error::Simulate(_) => ErrorClass::Other,
    }
}

fn of_output(error: &io::Error) -> ErrorClass {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if full { ErrorClass::DiskFull } else { ErrorClass::Output }
}

fn of_fits(error: &FitsError) -> ErrorClass {
    match error {
        FitsError::Io { .. } | FitsError::NotAFile { .. } => ErrorClass::InputUnreadable,
        FitsError::Empty { .. }
        | FitsError::NotFits { .. }
        | FitsError::Gzip { .. }
        | FitsError::TooLarge { .. }
        | FitsError::Scan { .. }
        | FitsError::UnreadableColumn { .. }
        | FitsError::NotUtf8 { .. }
        | FitsError::OutOfRange { .. }
        | FitsError::OutsideHeap { .. }
        | FitsError::Disagreement { .. }
        | FitsError::Cfitsio { .. } => ErrorClass::InputDamaged,
        FitsError::MissingHdu { .. }
        | FitsError::WrongKind { .. }
        | FitsError::MissingColumn { .. }
        | FitsError::WrongColumnType { .. }
        | FitsError::WrongShape { .. }
        | FitsError::ShiftedGrid { .. }
        | FitsError::PerExposure { .. }
        | FitsError::NoArm { .. }
        | FitsError::Compression { .. } => ErrorClass::InputUnexpected,
        // A mistake of whoever asked, not of the file.
        FitsError::NoSuchRows { .. } => ErrorClass::Other,
    }
}

fn of_catalog(error: &CatalogError) -> ErrorClass {
    match error {
        CatalogError::Duplicate { .. } => ErrorClass::DuplicateKey,
        CatalogError::Name { .. }
        | CatalogError::Release { .. }
        | CatalogError::Refused { .. }
        | CatalogError::NoSpecprod { .. }
        | CatalogError::TwoSpecprods { .. }
        | CatalogError::NoTable { .. }
        | CatalogError::NoColumn { .. }
        | CatalogError::Kind { .. }
        | CatalogError::Unit { .. }
        | CatalogError::Value { .. }
        | CatalogError::Constant { .. } => ErrorClass::InputUnexpected,
    }
}

fn of_inventory(error: &InventoryError) -> ErrorClass {
    match error {
        InventoryError::NoInput => ErrorClass::Settings,
        InventoryError::NotARelease { .. } => ErrorClass::InputUnexpected,
        InventoryError::Unreadable { .. } => ErrorClass::InputUnreadable,
        InventoryError::TileTable { .. } => ErrorClass::InputDamaged,
        InventoryError::TileTableFits(error) => of_fits(error),
        InventoryError::Store { .. } => ErrorClass::Output,
    }
}

fn of_kernel(error: &KernelError) -> ErrorClass {
    match error {
        KernelError::DeviceUnavailable { .. } | KernelError::Device { .. } => ErrorClass::Device,
        KernelError::OutOfMemory { .. } => ErrorClass::DeviceMemory,
        KernelError::Shape { .. } | KernelError::Domain { .. } | KernelError::Threads { .. } => {
            ErrorClass::Kernel
        }
    }
}

fn of_database(error: &DatabaseError) -> ErrorClass {
    if matches!(error, DatabaseError::DuplicateKey { .. } | DatabaseError::RowRefused { .. }) {
        ErrorClass::DatabaseRow
    } else {
        ErrorClass::Database
    }
}

/// Why something could not be done: a sentence for people, a class to count by.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The sentence.
    pub(crate) reason: String,
    /// The class.
    pub(crate) class: ErrorClass,
}

impl Failure {
    /// What an error says, with its causes.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        Self { reason: reason_of(error), class: ErrorClass::of(error) }
    }

    /// A sentence that somebody wrote down earlier.
    pub(crate) fn known(class: ErrorClass, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), class }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_class_has_a_word_of_its_own_and_they_stay_few() {
        let words: BTreeSet<&str> = ErrorClass::ALL.map(ErrorClass::name).into();
        assert_eq!(words.len(), ErrorClass::ALL.len());
        assert!(words.len() <= 20);
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    #[test]
    fn the_class_is_found_behind_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] FitsError);
        let path = PathBuf::from("coadd.fits");
        assert_eq!(ErrorClass::of(&Outer(FitsError::Empty { path })), ErrorClass::InputDamaged);
        assert_eq!(ErrorClass::of(&io::Error::other("what")), ErrorClass::Other);
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble_with_files() {
        let error = |kind| Error::io("cannot write")(io::Error::from(kind));
        assert_eq!(ErrorClass::of(&error(io::ErrorKind::StorageFull)), ErrorClass::DiskFull);
        assert_eq!(ErrorClass::of(&error(io::ErrorKind::PermissionDenied)), ErrorClass::Output);
    }
}
