//! DESI files in, columns and pixels out: everything that knows FITS.
//!
//! Each file goes through two gates. [`prescan`] walks the headers with bounded reads of its own
//! and accepts or refuses every HDU; only then does cfitsio, behind [`cfitsio`], read values from
//! what passed. HDUs and columns are found by name, never by number. No cfitsio type leaves this
//! module. Whole tables, whatever their columns, are streamed by [`bintable`].

pub mod bintable;
mod cfitsio;
mod checksum;
mod coadd;
mod error;
mod fibermap;
mod header;
mod layout;
pub mod prescan;
mod redshifts;
mod source;
mod table;
mod tform;

pub(crate) use cfitsio::library_version;
pub(crate) use coadd::coadd_rows;
pub use coadd::{ArmLayout, CoaddBatch, CoaddFile, CoaddKeywords};
pub use error::{FitsError, HduLabel};
pub use fibermap::Fibermap;
pub use header::{Card, Header, Value};
pub(crate) use redshifts::redrock_rows;
pub use redshifts::{CatalogColumns, Lookup, Redshift, RedshiftTable, read_redrock, read_redshift_catalog};
pub use source::{OpenOptions, Source};
pub use table::{ColumnValues, TextColumn, Want, read_table};
pub use tform::{ElementKind, TForm, TFormError};
