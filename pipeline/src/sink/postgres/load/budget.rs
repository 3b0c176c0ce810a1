//! How many connections and how much write-ahead log a load may have at once, from the server's own limits.

use std::sync::{Condvar, Mutex, PoisonError};

use super::{Database, DatabaseError};
use crate::plan::Plan;

/// Free connections left to everybody else.
const LEAVE_FREE: i64 = 3;
/// More than this many backends inserting into the same tables wait for each other.
const CONNECTIONS_MOST: usize = 8;

const LIMITS: &str = "SELECT current_setting('max_connections')::bigint \
     - current_setting('superuser_reserved_connections')::bigint \
     - current_setting('reserved_connections')::bigint \
     - (SELECT coalesce(sum(numbackends), 0)::bigint FROM pg_stat_database), \
     pg_size_bytes(current_setting('max_wal_size'))";

/// What a load may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) connections: usize,
    pub(super) wal_bytes: u64,
}

impl Budget {
    /// Asks the server, and says what came of it.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(super) fn read(database: &Database, plan: &Plan, units: usize) -> Result<Self, DatabaseError> {
        let row = database.query_one("reading the server's limits", LIMITS, &[])?;
        let (free, max_wal_bytes): (i64, i64) = (row.get(0), row.get(1));
        let asked = plan.run_file.load.connections;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let budget = Self::from_limits(asked, free, cores, units, max_wal_bytes);
        tracing::info!(
            connections = budget.connections,
            free_on_server = free,
            wal_mb = budget.wal_bytes / 1_000_000,
            "loading {units} units; write-ahead log in flight is kept below half of the server's max_wal_size"
        );
        Ok(budget)
    }

    /// `free` are the server's free connections, this one not counted.
    fn from_limits(asked: usize, free: i64, cores: usize, units: usize, max_wal_bytes: i64) -> Self {
        let own = if asked > 0 { asked } else { cores.min(CONNECTIONS_MOST) };
        let allowed = usize::try_from((free - LEAVE_FREE).max(0)).unwrap_or(usize::MAX).saturating_add(1);
        Self {
            connections: own.min(allowed).min(units.max(1)),
            wal_bytes: u64::try_from(max_wal_bytes / 2).unwrap_or(0),
        }
    }
}

/// Write-ahead log that may still be made before something is committed.
#[derive(Debug)]
pub(super) struct WalBudget {
    whole: u64,
    free: Mutex<u64>,
    returned: Condvar,
}

/// A unit's share, given back when it goes.
pub(super) struct WalShare<'a> {
    budget: &'a WalBudget,
    bytes: u64,
}

impl WalBudget {
    /// This many bytes in all.
    pub(super) fn new(bytes: u64) -> Self {
        Self { whole: bytes, free: Mutex::new(bytes), returned: Condvar::new() }
    }

    /// Waits until so many bytes are free; what needs more than there is goes alone.
    pub(super) fn take(&self, bytes: u64) -> WalShare<'_> {
        let bytes = bytes.min(self.whole);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.returned.wait_while(free, |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        WalShare { budget: self, bytes }
    }
}

impl Drop for WalShare<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn the_server_s_limits_win_over_what_is_asked_for() {
        let connections =
            |asked, free, cores, units| Budget::from_limits(asked, free, cores, units, 1 << 30).connections;
        assert_eq!(connections(0, 97, 4, 100), 4);
        assert_eq!(connections(0, 97, 64, 100), CONNECTIONS_MOST);
        assert_eq!(connections(20, 97, 4, 100), 20);
        assert_eq!(connections(20, 5, 4, 100), 3);
        assert_eq!(connections(4, 0, 4, 100), 1, "the one that asks is there already");
        assert_eq!(connections(4, 97, 4, 2), 2);
        assert_eq!(Budget::from_limits(1, 1, 1, 1, 1 << 30).wal_bytes, 1 << 29);
    }

    #[test]
    fn shares_in_flight_never_exceed_the_budget() {
        let budget = WalBudget::new(100);
        let (taken, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [30, 50, 70, 100, 1000, 20, 60, 40] {
                let (budget, taken, most) = (&budget, &taken, &most);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let share = budget.take(bytes);
                        let now = taken.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        taken.fetch_sub(share.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        let most = most.load(Ordering::SeqCst);
        assert!((70..=100).contains(&most), "{most}");
        assert_eq!(*budget.free.lock().unwrap(), 100);
    }
}
