//! The private server's settings, from what the machine has.

use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::memory::total_bytes;

const MIB: u64 = 1 << 20;

/// What `postgres` is started with, as `name=value`.
pub(super) fn settings() -> Vec<String> {
    let memory = total_bytes().unwrap_or(4096 * MIB);
    let shared_buffers = (memory / 16).clamp(128 * MIB, 1024 * MIB);
    let maintenance = (memory / 8).clamp(64 * MIB, 2048 * MIB);
    let shm_serves = serves_as_shared_memory(Path::new("/dev/shm"), maintenance + 64 * MIB);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    vec![
        // Nobody but the owner of the socket's folder comes in.
        "listen_addresses=".to_owned(),
        format!("shared_buffers={}MB", shared_buffers / MIB),
        format!("maintenance_work_mem={}MB", maintenance / MIB),
        format!("dynamic_shared_memory_type={}", if shm_serves { "posix" } else { "mmap" }),
        format!("max_worker_processes={}", cores.max(4) * 2),
        format!("max_parallel_workers={cores}"),
        format!("max_parallel_maintenance_workers={}", cores.min(4)),
        "max_connections=40".to_owned(),
        "max_wal_size=2GB".to_owned(),
        // Nothing is replicated from here.
        "wal_level=minimal".to_owned(),
        "max_wal_senders=0".to_owned(),
    ]
}

/// Whether everybody may write there, and so much: a parallel index build puts its graph into shared memory, and a
/// container's /dev/shm may be 64 MiB, or closed.
fn serves_as_shared_memory(folder: &Path, bytes: u64) -> bool {
    let is_open = fs_err::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o003 == 0o003);
    is_open && free_space(folder).is_some_and(|free| free > bytes)
}

/// Bytes that may still be written to a file system.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in NUL and `found` has room for the struct, which is read only after success.
    let result = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: statvfs filled the struct, as its result says.
    let found = unsafe { found.assume_init() };
    Some(found.f_bavail * found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_how_much_it_takes() {
        assert!(free_space(Path::new("/")).is_some());
        assert_eq!(free_space(Path::new("/no/such/place")), None);
        assert!(serves_as_shared_memory(Path::new("/tmp"), 1));
        assert!(!serves_as_shared_memory(Path::new("/tmp"), u64::MAX));
        assert!(!serves_as_shared_memory(Path::new("/proc"), 0));
    }
}
