//! What lies below the kernels' host code: memory, copies and launches.

use crate::{DeviceInfo, KernelError, MemoryInfo};

/// A machine that runs kernels by name: a card behind its driver, or an emulation of one.
///
/// Launches and copies of one host thread happen in the order they are asked for; memory written by one
/// thread may be read by others as soon as the call that writes it has returned. Memory that several threads
/// read is dropped only after each of them has downloaded what it made, or has waited.
pub trait Machine: Send + Sync {
    /// Memory on the machine.
    type Memory: Send + Sync;

    /// What it is.
    fn info(&self) -> DeviceInfo;

    /// Its memory, where it has its own.
    fn memory(&self) -> Option<MemoryInfo>;

    /// Processors that run blocks side by side.
    fn processors(&self) -> u32;

    /// Bytes that an operation may take for itself while it runs; no result depends on it.
    fn scratch_bytes(&self) -> usize {
        256 << 20
    }

    /// Memory of any content.
    ///
    /// # Errors
    /// [`KernelError::OutOfMemory`] or [`KernelError::Device`].
    fn allocate(&self, bytes: usize) -> Result<Self::Memory, KernelError>;

    /// Memory of zeros.
    ///
    /// # Errors
    /// [`KernelError::OutOfMemory`] or [`KernelError::Device`].
    fn allocate_zeroed(&self, bytes: usize) -> Result<Self::Memory, KernelError>;

    /// A copy of host memory.
    ///
    /// # Errors
    /// [`KernelError::OutOfMemory`] or [`KernelError::Device`].
    fn upload(&self, host: &[u8]) -> Result<Self::Memory, KernelError>;

    /// Copies the whole of `memory`, which is as long as `host`.
    ///
    /// # Errors
    /// [`KernelError::Device`], also where a launch before it has failed.
    fn download(&self, memory: &Self::Memory, host: &mut [u8]) -> Result<(), KernelError>;

    /// Waits until everything that the calling thread has asked for is done.
    ///
    /// # Errors
    /// [`KernelError::Device`], also where a launch before it has failed.
    fn synchronize(&self) -> Result<(), KernelError>;

    /// Starts a kernel.
    ///
    /// # Safety
    /// The arguments must be those of the kernel, in order; what it reads and writes for them must lie
    /// within the memory given; memory given as [`Arg::In`] must not be written.
    ///
    /// # Errors
    /// [`KernelError::Device`].
    unsafe fn launch(&self, launch: Launch, args: &mut [Arg<'_, Self::Memory>]) -> Result<(), KernelError>;
}

/// Which kernel runs, and in what blocks.
#[derive(Debug, Clone, Copy)]
pub struct Launch {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Number of blocks.
    pub blocks: u32,
    /// Threads of a block, whole warps.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
}

/// An argument of a kernel.
pub enum Arg<'a, Memory> {
    /// Memory that is read.
    In(&'a Memory),
    /// Memory that is written, or read and written.
    Out(&'a mut Memory),
    /// A number.
    U32(u32),
    /// A number.
    I32(i32),
    /// A number.
    U64(u64),
    /// A number.
    F32(f32),
    /// A number.
    F64(f64),
}
