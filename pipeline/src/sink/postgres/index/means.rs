//! What the server can give to one build, and the session's settings for it.

use std::path::Path;

use super::predict::Cost;
use super::{Database, DatabaseError};
use crate::memory::available_bytes;
use crate::server::free_space;

/// pgvector's own smallest sensible memory for a build.
const MEMORY_LEAST: u64 = 16 << 20;
/// Of the memory that is free beside the private server.
const SHARE_OF_FREE: u64 = 4;

/// What the server allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Means {
    /// `maintenance_work_mem`.
    pub(super) memory: u64,
    /// `max_parallel_maintenance_workers`, within `max_parallel_workers`.
    pub(super) workers: u32,
    /// Free in `/dev/shm`, where the server uses it and is on this machine.
    pub(super) shared: Option<u64>,
    /// Free memory, where the server is the run's own: what another one may take is its administrator's to say.
    pub(super) free: Option<u64>,
}

/// The session's settings for a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) memory: u64,
    pub(super) workers: u32,
    /// Whether the whole graph stays in memory.
    pub(super) fits: bool,
}

const LIMITS: &str = "SELECT pg_size_bytes(current_setting('maintenance_work_mem')), \
     least(current_setting('max_parallel_maintenance_workers')::int, current_setting('max_parallel_workers')::int), \
     current_setting('dynamic_shared_memory_type')";

impl Means {
    /// Asks the server, and looks at this machine where the server is on it.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(super) fn read(database: &Database) -> Result<Self, DatabaseError> {
        let row = database.query_one("reading the server's limits", LIMITS, &[])?;
        let (memory, workers, kind): (i64, i32, String) = (row.get(0), row.get(1), row.get(2));
        let local = database.address().is_local();
        Ok(Self {
            memory: u64::try_from(memory).unwrap_or(0),
            workers: u32::try_from(workers).unwrap_or(0),
            shared: (local && kind == "posix").then(|| free_space(Path::new("/dev/shm"))).flatten(),
            free: database.address().is_private().then(available_bytes).flatten(),
        })
    }

    /// The settings for a build: as much memory as it needs, within what there is. Workers share it through
    /// `/dev/shm`, so that where that is smaller one process builds alone.
    pub(super) fn session(&self, cost: &Cost) -> Session {
        let needed = round_up(cost.memory_bytes).max(MEMORY_LEAST);
        let most = self.memory.max(self.free.map_or(0, |free| free / SHARE_OF_FREE));
        let memory = needed.min(most.max(MEMORY_LEAST));
        let shares = self.shared.is_none_or(|free| free > memory);
        Session { memory, workers: if shares { self.workers } else { 0 }, fits: needed <= memory }
    }
}

/// Whole megabytes with a tenth to spare.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of memory, never negative"
)]
fn round_up(bytes: f64) -> u64 {
    ((bytes * 1.1) as u64).div_ceil(1 << 20) << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn cost(megabytes: u32) -> Cost {
        Cost { disk_bytes: 0.0, memory_bytes: f64::from(megabytes) * 1e6 }
    }

    #[test]
    fn a_build_gets_what_it_needs_and_no_more() {
        let means = Means { memory: 2048 * MB, workers: 2, shared: Some(4096 * MB), free: None };
        let session = means.session(&cost(500));
        assert_eq!((session.memory / MB, session.workers, session.fits), (525, 2, true));
        let small = means.session(&cost(1));
        assert_eq!((small.memory, small.fits), (MEMORY_LEAST, true));
    }

    #[test]
    fn where_shared_memory_is_small_one_process_builds_alone() {
        let means = Means { memory: 2048 * MB, workers: 2, shared: Some(64 * MB), free: None };
        assert_eq!(means.session(&cost(500)).workers, 0);
        assert_eq!(means.session(&cost(20)).workers, 2);
    }

    #[test]
    fn what_the_server_does_not_have_is_not_taken() {
        let remote = Means { memory: 64 * MB, workers: 2, shared: None, free: None };
        let session = remote.session(&cost(500));
        assert_eq!((session.memory, session.fits), (64 * MB, false));
        let private = Means { free: Some(8192 * MB), ..remote };
        assert!(private.session(&cost(500)).fits);
    }
}
