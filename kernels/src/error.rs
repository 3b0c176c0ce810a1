//! What can go wrong inside an operation.

/// A failed operation; bad numbers never are (they become missing pixels).
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// An array's length disagrees with the axes it is declared to have.
    #[error("{operation}: `{array}` has {actual} elements, its axes [{axes}] need {expected}")]
    Shape {
        /// The operation that checked.
        operation: &'static str,
        /// The array's name in the contract.
        array: &'static str,
        /// The axes, as in the contract.
        axes: &'static str,
        /// Elements the axes need.
        expected: usize,
        /// Elements present.
        actual: usize,
    },
    /// A parameter lies outside the operation's domain.
    #[error("{operation}: {what}")]
    Domain {
        /// The operation that checked.
        operation: &'static str,
        /// What is wrong, with the value.
        what: String,
    },
    /// The requested device cannot be had.
    #[error("device `{device}` is unavailable: {reason}")]
    DeviceUnavailable {
        /// As asked for.
        device: String,
        /// Why it cannot be had.
        reason: String,
    },
    /// The device has no room; fewer spectra at a time may fit.
    #[error("device `{device}` has no room for {bytes} bytes")]
    OutOfMemory {
        /// The device.
        device: String,
        /// What was asked for.
        bytes: usize,
    },
    /// The device failed.
    #[error("device `{device}` failed in {action}: {reason}")]
    Device {
        /// The device.
        device: String,
        /// The kernel, or what else was asked of it.
        action: String,
        /// What it said.
        reason: String,
    },
    /// The CPU's worker threads could not be started.
    #[error("cannot start {threads} worker threads")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The pool's own error.
        source: rayon::ThreadPoolBuildError,
    },
}

/// Refuses an array whose length is not what its axes need.
pub(crate) fn check_len(
    operation: &'static str,
    array: &'static str,
    axes: &'static str,
    expected: usize,
    actual: usize,
) -> Result<(), KernelError> {
    if actual == expected {
        return Ok(());
    }
    Err(KernelError::Shape { operation, array, axes, expected, actual })
}
