//! Which goldens are compared with which tree.

use std::path::{Path, PathBuf};

use specmill::config::{RedshiftSource, Redshifts, RunFile};

use super::executor::run_file;
use super::table::Table;
use crate::real::real_data;

/// The environment's name for a folder of goldens made from the real tree at stride 1.
const REAL_GOLDEN: &str = "SPECMILL_REAL_GOLDEN";

/// A tree of coadds and the values that its pixels should give.
pub(crate) struct Case {
    golden: PathBuf,
    pub(crate) root: PathBuf,
    /// Units by prefix, with the source of their redshifts; every unit of the tree is in one of these.
    redshifts: Vec<(&'static str, Redshifts)>,
}

impl Case {
    /// The project's own samples.
    pub(crate) fn samples() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data-samples");
        Self { golden: root.join("golden"), root, redshifts: vec![("", Redshifts::default())] }
    }

    /// The genuine DESI coadds; `None`, after saying so, where this machine lacks them or the
    /// goldens made from them.
    #[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
    pub(crate) fn real() -> Option<Self> {
        let root = real_data("tree")?;
        let redrock = real_data("made-here/redrock-sv3-dark-26065.fits")?;
        let quasars = real_data("catalogs/qso/QSO_cat_fuji_dark_tile.fits.gz")?;
        let Some(golden) = std::env::var_os(REAL_GOLDEN).map(PathBuf::from) else {
            skip(&format!("{REAL_GOLDEN} names no folder of goldens"));
            return None;
        };
        let text = |text: &str| text.to_owned();
        let catalog = |path| Redshifts { source: RedshiftSource::Catalog, path, ..Redshifts::default() };
        let redshifts = vec![
            ("iron/", Redshifts::default()),
            (
                "fuji/healpix/",
                Redshifts { hdu: text("REDSHIFTS"), spectype: text("SPECTYPE"), ..catalog(redrock) },
            ),
            ("fuji/tile/", Redshifts { default_spectype: text("QSO"), ..catalog(quasars) }),
        ];
        Some(Self { golden, root, redshifts })
    }

    /// One of the golden tables.
    pub(crate) fn golden(&self, table: &str) -> Table {
        Table::read(&self.golden.join(format!("{table}.parquet")))
    }

    /// A run file for each source of redshifts, with the units it covers.
    ///
    /// The goldens measure whatever has a redshift, so ZWARN skips nothing here.
    pub(crate) fn run_files(&self) -> impl Iterator<Item = (&'static str, RunFile)> {
        self.redshifts.iter().map(|(prefix, redshifts)| {
            let mut run_file = run_file(&self.root);
            run_file.input.units.extend(Some((*prefix).to_owned()).filter(|prefix| !prefix.is_empty()));
            run_file.redshifts = redshifts.clone();
            run_file.extract.skip_zwarn_bits = Vec::new();
            (*prefix, run_file)
        })
    }
}

/// Says that a test is skipped, or fails where it must not be.
#[expect(clippy::disallowed_methods, reason = "tests are configured by the environment alone")]
#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn skip(reason: &str) {
    let required = std::env::var_os("SPECMILL_REQUIRE_REAL_DATA").is_some_and(|value| value == "1");
    assert!(!required, "SPECMILL_REQUIRE_REAL_DATA is set and {reason}");
    println!("SKIPPED: {reason}");
}
