//! A whole run: units, catalogues, truth.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::catalogs::{self, Host};
use crate::coadd::{self, Context, Written};
use crate::config::{Release, SimulateConfig, SimulateReport, Truth};
use crate::error::SimulateError;
use crate::fits::{TextFile, write_bytes};
use crate::noise::Sky;
use crate::plan::{self, Unit};
use crate::record::unseen_row;
use crate::redrock;
use crate::sampler::Sampler;
use crate::truth;
use crate::zcatalog::{self, Catalogue, TileRow};

/// Units whose rows are held at once between writing and the catalogues.
const UNITS_AT_ONCE: usize = 16;

/// Writes a production of simulated spectra, in the layout of each release asked for, with the truth
/// beside it.
///
/// # Errors
///
/// Where the request contradicts itself or a file cannot be written. What was written before stays.
pub fn simulate(cfg: &SimulateConfig) -> Result<SimulateReport, SimulateError> {
    check(cfg)?;
    let mut builder = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = cfg.threads {
        builder = builder.num_threads(threads);
    }
    let pool = builder.build().map_err(|error| SimulateError::Threads(error.to_string()))?;
    pool.install(|| write_all(cfg, &plan::plan(cfg)))
}

fn check(cfg: &SimulateConfig) -> Result<(), SimulateError> {
    if cfg.n_targets == 0 || cfg.targets_per_unit == 0 {
        return Err(SimulateError::Config("targets and targets per unit must be at least one"));
    }
    if cfg.releases.is_empty() {
        return Err(SimulateError::Config("no release was named"));
    }
    if cfg.catalogs.is_empty() && !cfg.spectra {
        return Err(SimulateError::Config("neither spectra nor a catalogue is wanted"));
    }
    if !(0.0..=0.25).contains(&cfg.repeat_fraction) {
        return Err(SimulateError::Config("the share of repeats lies between 0 and 0.25"));
    }
    Ok(())
}

pub(crate) fn write_all(cfg: &SimulateConfig, units: &[Unit]) -> Result<SimulateReport, SimulateError> {
    // Seconds to make, and for spectra alone.
    let optics = cfg.spectra.then(|| (Sampler::new(), Sky::new()));
    let context = optics.as_ref().map(|(sampler, sky)| Context { cfg, sampler, sky });
    let mut report = SimulateReport::default();
    let mut tables = Vec::new();
    for release in Release::ALL {
        if units.iter().any(|unit| unit.release == release) {
            tables.push(Tables::create(cfg, release, units)?);
        }
    }
    for (n, chunk) in units.chunks(UNITS_AT_ONCE).enumerate() {
        let written: Result<Vec<Written>, SimulateError> =
            chunk.par_iter().map(|unit| write_unit(cfg, context.as_ref(), unit)).collect();
        for ((number, unit), written) in (n * UNITS_AT_ONCE..).zip(chunk).zip(written?) {
            report.units += 1;
            report.targets += written.records.len();
            report.repeats += unit.rows.iter().filter(|row| row.repeat).count();
            report.bytes += written.bytes;
            report.files.extend(written.paths.iter().cloned());
            for table in tables.iter_mut().filter(|table| table.release == unit.release) {
                table.append(unit, &written)?;
                if !cfg.catalogs.is_empty() {
                    table.hosts.extend(written.records.iter().map(|record| Host::new(number, record)));
                }
            }
        }
    }
    for table in tables {
        table.finish(cfg, units, &mut report)?;
    }
    Ok(report)
}

fn write_unit(
    cfg: &SimulateConfig,
    context: Option<&Context<'_>>,
    unit: &Unit,
) -> Result<Written, SimulateError> {
    let Some(context) = context else {
        let records = (0..unit.rows.len()).map(|index| unseen_row(cfg.seed, unit, index)).collect();
        return Ok(Written { records, truth: Vec::new(), paths: Vec::new(), bytes: 0 });
    };
    let mut written = coadd::write(context, unit)?;
    let suffix = if unit.gzip_redrock { "fits.gz" } else { "fits" };
    let path = context.cfg.out.join(format!("{}.{suffix}", unit.stem("redrock")));
    written.bytes += redrock::write(&path, unit, &written.records)?;
    written.paths.push(path);
    Ok(written)
}

/// The tables of a release that gather from all units.
struct Tables {
    release: Release,
    catalogue: Option<Catalogue>,
    tiles: BTreeMap<i32, TileRow>,
    truth: Option<TextFile>,
    /// The targets of the catalogues, where there are any.
    hosts: Vec<Host>,
}

impl Tables {
    fn create(cfg: &SimulateConfig, release: Release, units: &[Unit]) -> Result<Self, SimulateError> {
        let wanted = cfg.spectra || cfg.catalogs.iter().any(|catalog| catalog.name == "zall-pix");
        let catalogue = if wanted { Catalogue::create(&cfg.out, release, units)? } else { None };
        let truth = if cfg.truth == Truth::None || !cfg.spectra {
            None
        } else {
            let path = cfg.out.join(format!("truth/truth-{}.csv", release.specprod()));
            let mut file = TextFile::create(&path)?;
            file.append(&truth::header())?;
            Some(file)
        };
        Ok(Self { release, catalogue, tiles: BTreeMap::new(), truth, hosts: Vec::new() })
    }

    fn append(&mut self, unit: &Unit, written: &Written) -> Result<(), SimulateError> {
        if let (Some(catalogue), false) = (&mut self.catalogue, unit.is_tile()) {
            catalogue.append(unit, &written.records)?;
        }
        zcatalog::add_tile(&mut self.tiles, unit, &written.records);
        if let Some(truth) = &mut self.truth {
            for row in &written.truth {
                truth.append(&row.line)?;
            }
        }
        Ok(())
    }

    fn finish(
        self,
        cfg: &SimulateConfig,
        units: &[Unit],
        report: &mut SimulateReport,
    ) -> Result<(), SimulateError> {
        let mut done = Vec::new();
        if let Some(catalogue) = self.catalogue {
            done.push(catalogue.finish()?);
        }
        if !self.tiles.is_empty() {
            let (name, text) = zcatalog::tiles_csv(self.release, &self.tiles);
            let path = cfg.out.join(name);
            write_bytes(&path, text.as_bytes())?;
            done.push((path, text.len() as u64));
        }
        if let Some(truth) = self.truth {
            done.push(truth.finish()?);
        }
        if !cfg.catalogs.is_empty() {
            done.extend(catalogs::write(cfg, self.release, units, &self.hosts)?);
        }
        for (path, bytes) in done {
            report.files.push(path);
            report.bytes += bytes;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Grouping, Resolution};
    use std::path::Path;

    fn small(out: &Path, threads: usize) -> SimulateConfig {
        SimulateConfig {
            seed: 5,
            releases: Release::ALL.to_vec(),
            targets_per_unit: 3,
            grouping: Grouping::Both,
            resolution: Resolution::Full,
            repeat_fraction: 0.2,
            threads: Some(threads),
            ..SimulateConfig::new(out, 72)
        }
    }

    #[test]
    fn one_thread_and_three_threads_write_the_same_bytes() {
        let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = simulate(&small(one.path(), 1)).unwrap();
        let second = simulate(&small(three.path(), 3)).unwrap();
        assert_eq!(first.files.len(), second.files.len());
        assert_eq!((first.targets, first.repeats), (72, second.repeats));
        assert!(first.repeats > 0);
        for (a, b) in first.files.iter().zip(&second.files) {
            assert_eq!(a.strip_prefix(one.path()).unwrap(), b.strip_prefix(three.path()).unwrap());
            assert!(fs_err::read(a).unwrap() == fs_err::read(b).unwrap(), "{}", a.display());
        }
    }

    #[test]
    fn files_have_the_length_their_headers_promise() {
        let folder = tempfile::tempdir().unwrap();
        let report = simulate(&small(folder.path(), 2)).unwrap();
        for path in report.files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "fits")) {
            let bytes = fs_err::read(path).unwrap();
            assert_eq!(walk(&bytes), bytes.len(), "{}", path.display());
        }
    }

    #[test]
    fn sparse_resolution_changes_no_byte_outside_the_matrices() {
        let (full, sparse) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let with = simulate(&small(full.path(), 2)).unwrap();
        let cfg = SimulateConfig { resolution: Resolution::Sparse, ..small(sparse.path(), 2) };
        let without = simulate(&cfg).unwrap();
        assert_eq!(with.bytes, without.bytes);
        let (a, b) = (fs_err::read(&with.files[0]).unwrap(), fs_err::read(&without.files[0]).unwrap());
        assert_eq!(a.len(), b.len());
        // Where they differ, the sparse file reads zero.
        assert!(a.iter().zip(&b).all(|(x, y)| x == y || *y == 0));
        assert!(a != b);
    }

    /// Length of a FITS file by its headers.
    fn walk(bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let (mut bits, mut axes, mut pcount) = (0_usize, Vec::new(), 0);
            loop {
                let card = std::str::from_utf8(&bytes[at..at + 80]).unwrap();
                at += 80;
                let (keyword, value) = (card[..8].trim(), card.get(10..).unwrap_or("").trim());
                match keyword {
                    "BITPIX" => bits = value.trim_start_matches('-').parse().unwrap(),
                    "PCOUNT" => pcount = value.parse().unwrap(),
                    "NAXIS" => {}
                    "END" => break,
                    axis if axis.starts_with("NAXIS") => axes.push(value.parse::<usize>().unwrap()),
                    _ => {}
                }
            }
            at = at.next_multiple_of(2880);
            let size = if axes.is_empty() { 0 } else { axes.iter().product::<usize>() * bits / 8 + pcount };
            at += size.next_multiple_of(2880);
        }
        at
    }
}
