//! A run as a cluster carries it out: shards in processes of their own, told to end, killed, without disk or input.

mod forty;
mod interrupt;
pub(crate) mod pods;
mod shards;
mod trouble;

/// Whether a process handles SIGTERM by now.
fn listens(process: u32) -> bool {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
    // SIGTERM is signal 15; prlimit, which becomes the program, catches nothing.
    u64::from_str_radix(caught, 16).unwrap_or(0) >> 14 & 1 == 1
}
