//! How the process keeps its memory.

/// Tells the C library to keep freed memory for the next batch instead of giving it back.
///
/// A batch allocates and frees the same few megabytes again and again. By default glibc maps blocks
/// of this size anew each time, and the page faults of fresh memory cost several times what the
/// arithmetic does. Memory stays bounded: what is kept is what the largest batch needed.
///
/// On other C libraries nothing happens.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    {
        /// The largest threshold glibc accepts: half of an arena's heap.
        const MAP_ABOVE_BYTES: libc::c_int = 32 << 20;
        const TRIM_ABOVE_BYTES: libc::c_int = 512 << 20;
        // SAFETY: mallopt only sets allocator parameters, and is called before other threads exist.
        let mapped = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAP_ABOVE_BYTES) };
        // SAFETY: as above.
        let trimmed = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_ABOVE_BYTES) };
        if mapped == 0 || trimmed == 0 {
            tracing::debug!("the C library refused to keep freed memory: slower, not wrong");
        }
    }
}

/// Bytes this process can still take: what the system has free, within its control group.
///
/// `None` where the system does not say.
pub(crate) fn available_bytes() -> Option<u64> {
    let system = system_bytes("MemAvailable:")?;
    let (limit, used) = (group_bytes("memory.max"), group_bytes("memory.current"));
    Some(limit.zip(used).map_or(system, |(limit, used)| system.min(limit.saturating_sub(used))))
}

/// Bytes of memory that the system has, or lets the control group of this process have.
///
/// `None` where the system does not say.
pub(crate) fn total_bytes() -> Option<u64> {
    let system = system_bytes("MemTotal:")?;
    Some(group_bytes("memory.max").map_or(system, |limit| system.min(limit)))
}

fn system_bytes(key: &str) -> Option<u64> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
}

/// `None` where there is no limit: then `memory.max` holds the word max.
fn group_bytes(name: &str) -> Option<u64> {
    fs_err::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_it_has() {
        let (total, available) = (total_bytes().unwrap(), available_bytes().unwrap());
        assert!(total >= available && total > 64 << 20, "{total} {available}");
        if let Some(limit) = group_bytes("memory.max") {
            assert!(total <= limit);
        }
    }
}
