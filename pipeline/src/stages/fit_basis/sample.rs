//! Which spectra a basis is fitted to: a seeded draw among those good enough, the same whatever else is in the run.

use std::collections::{BTreeMap, BinaryHeap};

use arrow::datatypes::{Float32Type, Int32Type, Int64Type};
use sha2::{Digest, Sha256};

use crate::class::Class;
use crate::config::FitBasis;
use crate::digest::hex;
use crate::error::{Error, Result};
use crate::lake::{LakeFile, SpectraRows};
use crate::ledger::{LedgerRow, RowCounts, State};
use crate::plan::Plan;
use crate::stages::upstream::{features_of, spectra_of};

/// Rows read at a time: the row group of `spectra/`.
const BATCH_ROWS: usize = 256;

/// Spectra to fit a basis to, in the order of (unit, row).
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) unit_s: Vec<String>,
    pub(super) spectra: SpectraRows,
    /// Spectra that qualified by their features.
    pub(super) candidates: u64,
    /// SHA-256 over keys, fluxes and inverse variances.
    pub(super) sha256: String,
    /// Pixels with ivar > 0 in all of them.
    pub(super) good_pixels: u64,
    /// What became of every spectrum of the class but the sample's.
    pub(super) counts: RowCounts,
    /// Spectra of the class.
    pub(super) rows_in: u64,
}

/// A candidate's place in the draw, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    draw: u64,
    unit: usize,
    position: usize,
}

/// A row's place in the draw: a hash, so that it does not depend on which other rows there are.
fn draw(seed: u64, unit: &str, targetid: i64, row: i32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(unit);
    hash.update(targetid.to_le_bytes());
    hash.update(row.to_le_bytes());
    let digest = hash.finalize();
    let first = digest.iter().take(8);
    first.fold(0, |draw, &byte| (draw << 8) | u64::from(byte))
}

impl Sample {
    fn count(&mut self, state: State, reason: &str, rows: u64) {
        if rows > 0 {
            *self.counts.entry(state).or_default().entry(reason.to_owned()).or_default() += rows;
        }
    }

    /// Draws and reads the sample of a class.
    ///
    /// # Errors
    /// Where a file of the lake is missing, damaged or of other settings.
    pub(super) fn read(plan: &Plan, units: &[LedgerRow], class: Class) -> Result<Self> {
        let mut sample = Self::default();
        let tickets = sample.draw_tickets(plan, units, class)?;
        let n_pixels = plan.rest_grid(class).n_bins();
        let bytes = Self::check_memory(tickets.len(), n_pixels)?;
        tracing::info!(
            class = class.name(),
            spectra = tickets.len(),
            candidates = sample.candidates,
            memory_mb = bytes / 1_000_000,
            "sample drawn"
        );
        sample.spectra.flux_sp.reserve_exact(tickets.len() * n_pixels);
        sample.spectra.ivar_sp.reserve_exact(tickets.len() * n_pixels);
        let mut hash = Sha256::new();
        let mut first = 0;
        while first < tickets.len() {
            let unit = tickets[first].unit;
            let length = tickets[first..].iter().take_while(|ticket| ticket.unit == unit).count();
            let positions: Vec<usize> =
                tickets[first..first + length].iter().map(|ticket| ticket.position).collect();
            sample.read_unit(plan, &units[unit], class, &positions, &mut hash)?;
            first += length;
        }
        sample.sha256 = hex(&hash.finalize());
        Ok(sample)
    }

    /// The rows drawn, in the order of (unit, position).
    fn draw_tickets(&mut self, plan: &Plan, units: &[LedgerRow], class: Class) -> Result<Vec<Ticket>> {
        let settings = &plan.run_file.fit_basis;
        // The largest ticket on top: it goes where a smaller one comes.
        let mut drawn: BinaryHeap<Ticket> = BinaryHeap::new();
        for (unit, row) in units.iter().enumerate() {
            let (Some(spectra), Some(features)) = (spectra_of(row, class), features_of(row)) else {
                continue;
            };
            let spectra = LakeFile::open_recorded(&plan.folder, spectra)?;
            spectra.expect_footer("specmill.stage_hash", &plan.extract_hash)?;
            let verdicts = read_verdicts(&LakeFile::open_recorded(&plan.folder, features)?, settings)?;
            let name = row.unit.to_string();
            let mut position = 0;
            for rows in spectra.read(&["row", "targetid"], BATCH_ROWS)? {
                let rows = rows?;
                let targetids = rows.values::<Int64Type>("targetid")?;
                for (&row, &targetid) in rows.values::<Int32Type>("row")?.iter().zip(targetids) {
                    self.rows_in += 1;
                    let verdict = verdicts
                        .get(&row)
                        .ok_or_else(|| spectra.wrong(format!("features lack row {row}")))?;
                    if let Some(reason) = verdict {
                        self.count(State::Skipped, reason, 1);
                    } else {
                        self.candidates += 1;
                        drawn.push(Ticket {
                            draw: draw(settings.seed, &name, targetid, row),
                            unit,
                            position,
                        });
                        if drawn.len() > settings.sample {
                            drawn.pop();
                        }
                    }
                    position += 1;
                }
            }
        }
        self.count(State::Skipped, "not_drawn", self.candidates - drawn.len() as u64);
        let mut tickets = drawn.into_vec();
        tickets.sort_unstable_by_key(|ticket| (ticket.unit, ticket.position));
        Ok(tickets)
    }

    /// Reads the rows drawn from one unit; those with too few good pixels are left out after all.
    fn read_unit(
        &mut self,
        plan: &Plan,
        row: &LedgerRow,
        class: Class,
        positions: &[usize],
        hash: &mut Sha256,
    ) -> Result<()> {
        let Some(record) = spectra_of(row, class) else { return Ok(()) };
        let n_pixels = plan.rest_grid(class).n_bins();
        let least = plan.run_file.fit_basis.min_good_fraction * n_pixels as f64;
        // The draw has checked it against its account.
        let file = LakeFile::open(&plan.folder.join(&record.path))?;
        let unit = row.unit.to_string();
        for rows in file.spectra(Some(positions), BATCH_ROWS)? {
            let rows = rows?;
            check_width(&file, &rows, n_pixels)?;
            for s in 0..rows.len() {
                let pixels = s * n_pixels..(s + 1) * n_pixels;
                let (flux_p, ivar_p) = (&rows.flux_sp[pixels.clone()], &rows.ivar_sp[pixels]);
                let good = ivar_p.iter().filter(|&&ivar| ivar > 0.0).count();
                if (good as f64) < least {
                    self.count(State::Skipped, "coverage", 1);
                    continue;
                }
                self.good_pixels += good as u64;
                hash.update(&unit);
                hash.update(rows.targetid_s[s].to_le_bytes());
                for value in flux_p.iter().chain(ivar_p) {
                    hash.update(value.to_le_bytes());
                }
                self.unit_s.push(unit.clone());
                self.spectra.targetid_s.push(rows.targetid_s[s]);
                self.spectra.row_s.push(rows.row_s[s]);
                self.spectra.z_s.push(rows.z_s[s]);
                self.spectra.flux_sp.extend_from_slice(flux_p);
                self.spectra.ivar_sp.extend_from_slice(ivar_p);
            }
        }
        Ok(())
    }
}

/// Refuses spectra of another number of pixels than the grid's.
pub(crate) fn check_width(file: &LakeFile, rows: &SpectraRows, n_pixels: usize) -> Result<()> {
    let expected = rows.len() * n_pixels;
    if rows.flux_sp.len() == expected && rows.ivar_sp.len() == expected {
        return Ok(());
    }
    Err(file.wrong(format!("its spectra do not have the {n_pixels} pixels of this run's grid")))
}

/// Why each row of a unit cannot be in a sample, by row of the coadd; `None` where it can.
fn read_verdicts(file: &LakeFile, settings: &FitBasis) -> Result<BTreeMap<i32, Option<&'static str>>> {
    let mut verdicts = BTreeMap::new();
    let columns = ["row", "zwarn", "snr_b", "snr_r", "snr_z"];
    for rows in file.read(&columns, 4096)? {
        let rows = rows?;
        let mut arms = [
            rows.options::<Float32Type>("snr_b")?,
            rows.options::<Float32Type>("snr_r")?,
            rows.options::<Float32Type>("snr_z")?,
        ];
        let zwarn = rows.options::<Int64Type>("zwarn")?;
        for (row, zwarn) in rows.values::<Int32Type>("row")?.iter().zip(zwarn) {
            let snr = arms.iter_mut().filter_map(|arm| arm.next().flatten()).map(f64::from);
            let best = snr.fold(f64::NEG_INFINITY, f64::max);
            // A catalogue without ZWARN vouches for its redshifts.
            let verdict = if zwarn.is_some_and(|bits| bits != 0) {
                Some("zwarn")
            } else if best < settings.min_snr {
                Some("low_snr")
            } else {
                None
            };
            verdicts.insert(*row, verdict);
        }
    }
    Ok(verdicts)
}

impl Sample {
    /// Rows of the class by state and reason, with `used` of the sample in the fit and the rest left out for `reason`.
    pub(super) fn account(&self, used: u64, reason: &str) -> RowCounts {
        let mut sample = Self { counts: self.counts.clone(), ..Self::default() };
        sample.count(State::Done, "", used);
        sample.count(State::Skipped, reason, self.spectra.len() as u64 - used);
        sample.counts
    }

    /// Fails where the class has more spectra than memory can hold at once.
    ///
    /// # Errors
    /// [`Error::Setting`] with the sample that would fit.
    fn check_memory(rows: usize, n_pixels: usize) -> Result<u64> {
        // On the host and on the device: flux and ivar, then values and weights beside them.
        let bytes = rows as u64 * n_pixels as u64 * 4 * 6;
        let available = crate::memory::available_bytes();
        if available.is_some_and(|available| bytes > available) {
            return Err(Error::Setting {
                setting: "fit-basis.sample".to_owned(),
                problem: format!(
                    "{rows} spectra of {n_pixels} pixels need {:.1} GB, of which {:.1} are free",
                    bytes as f64 / 1e9,
                    available.unwrap_or(0) as f64 / 1e9
                ),
            });
        }
        Ok(bytes)
    }
}
