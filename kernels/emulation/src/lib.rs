//! A [`Machine`] that runs the CUDA kernels' own text on the CPU, for tests.
//!
//! Threads of a block are fibers that run one after another, each until it waits at a barrier. Three orders
//! of turns show what depends on the order; a second build of the same text checks every access.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::ptr::NonNull;

use libloading::Library;
use specmill_kernels::cuda::{Arg, Launch, Machine};
use specmill_kernels::{DeviceInfo, KernelError, MemoryInfo};

/// Whose turn comes when several threads of a block could go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Thread 0 first.
    Forward,
    /// Thread 0 last, and block 0 too.
    Reverse,
    /// Another order after every barrier.
    Shuffled,
}

/// Which build of the kernels runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Optimised.
    Plain,
    /// With AddressSanitizer and UndefinedBehaviorSanitizer; the process must have been started with the
    /// former's library preloaded.
    Checked,
}

/// A folder with a CUDA driver whose card is this emulation, and a compiler for it, for `LD_LIBRARY_PATH`;
/// `driver.cpp` says what its environment changes.
pub fn driver_folder() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/driver"))
}

type Emulate = unsafe extern "C" fn(
    *const c_char,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut *mut c_void,
    *mut c_char,
    usize,
) -> c_int;

/// The emulated card.
#[derive(Debug)]
pub struct Emulated {
    emulate: Emulate,
    turns: Turns,
    /// Keeps `emulate` loaded.
    _library: Library,
}

impl Emulated {
    /// Loads a build of the kernels.
    ///
    /// # Errors
    /// What the loader says.
    pub fn open(build: Build, turns: Turns) -> Result<Self, String> {
        let name = match build {
            Build::Plain => "libplain.so",
            Build::Checked => "libchecked.so",
        };
        let path = Path::new(env!("OUT_DIR")).join(name);
        // SAFETY: the library is this crate's own and has no initialisers that need anything.
        let library = unsafe { Library::new(&path) }.map_err(|error| error.to_string())?;
        // SAFETY: emulation.h defines the symbol with this signature.
        let emulate = unsafe { library.get::<Emulate>(c"emulate".to_bytes_with_nul()) };
        let emulate = *emulate.map_err(|error| error.to_string())?;
        Ok(Self { emulate, turns, _library: library })
    }
}

const ALIGNMENT: usize = 256;
/// Bytes that no kernel wrote: a NaN, a huge integer.
const POISON: u8 = 0xff;

/// Memory of exactly the bytes asked for, so that a checked build sees the first one beyond.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it owns its bytes, and changes them only through `&mut`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn filled(bytes: usize, byte: u8) -> Self {
        let layout = Self::layout(bytes);
        // SAFETY: the layout has a size.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        // SAFETY: the bytes have just been allocated.
        unsafe { start.write_bytes(byte, bytes) };
        Self { start, bytes }
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes.max(1), ALIGNMENT).unwrap_or_else(|_| Layout::new::<u8>())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.bytes)) };
    }
}

impl Machine for Emulated {
    type Memory = Memory;

    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            device: "emulated".to_owned(),
            name: format!("{:?}", self.turns).to_lowercase(),
            threads: 1,
            driver: None,
            image: None,
        }
    }

    fn memory(&self) -> Option<MemoryInfo> {
        None
    }

    fn processors(&self) -> u32 {
        2
    }

    /// So few that small inputs are cut too.
    fn scratch_bytes(&self) -> usize {
        4 << 10
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, KernelError> {
        Ok(Memory::filled(bytes, POISON))
    }

    fn allocate_zeroed(&self, bytes: usize) -> Result<Memory, KernelError> {
        Ok(Memory::filled(bytes, 0))
    }

    fn upload(&self, host: &[u8]) -> Result<Memory, KernelError> {
        let memory = Memory::filled(host.len(), POISON);
        // SAFETY: both are as long as the host's bytes, and the new memory is nobody else's.
        unsafe { memory.start.copy_from_nonoverlapping(NonNull::from(host).cast(), host.len()) };
        Ok(memory)
    }

    fn download(&self, memory: &Memory, host: &mut [u8]) -> Result<(), KernelError> {
        assert_eq!(memory.bytes, host.len(), "the whole of a memory is downloaded");
        // SAFETY: both have this length, and a caller's exclusive slice overlaps nothing.
        unsafe { memory.start.copy_to_nonoverlapping(NonNull::from(host).cast(), memory.bytes) };
        Ok(())
    }

    fn synchronize(&self) -> Result<(), KernelError> {
        Ok(())
    }

    unsafe fn launch(&self, launch: Launch, args: &mut [Arg<'_, Memory>]) -> Result<(), KernelError> {
        let starts: Vec<*mut u8> = args
            .iter()
            .map(|arg| match arg {
                Arg::In(memory) => memory.start.as_ptr(),
                Arg::Out(memory) => memory.start.as_ptr(),
                Arg::U32(_) | Arg::I32(_) | Arg::U64(_) | Arg::F32(_) | Arg::F64(_) => std::ptr::null_mut(),
            })
            .collect();
        let mut pointers: Vec<*mut c_void> = args
            .iter()
            .zip(&starts)
            .map(|(arg, start)| match arg {
                Arg::In(_) | Arg::Out(_) => std::ptr::from_ref(start).cast_mut().cast(),
                Arg::U32(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::I32(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::U64(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::F32(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::F64(value) => std::ptr::from_ref(value).cast_mut().cast(),
            })
            .collect();
        let failed = |reason: String| KernelError::Device {
            device: "emulated".to_owned(),
            action: launch.kernel.to_owned(),
            reason,
        };
        let name = CString::new(launch.kernel).map_err(|error| failed(error.to_string()))?;
        let mut message = [0; 256];
        let (blocks, threads, shared) = (launch.blocks, launch.threads, launch.shared_bytes);
        let turns = match self.turns {
            Turns::Forward => 0,
            Turns::Reverse => 1,
            Turns::Shuffled => 2,
        };
        // SAFETY: the caller's promise about the arguments; the message has the length it is given with.
        let status = unsafe {
            (self.emulate)(
                name.as_ptr(),
                blocks,
                threads,
                shared,
                turns,
                pointers.as_mut_ptr(),
                message.as_mut_ptr(),
                message.len(),
            )
        };
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the message ends in zero: it is written by snprintf, or all zeros.
        let message = unsafe { CStr::from_ptr(message.as_ptr()) };
        Err(failed(message.to_string_lossy().into_owned()))
    }
}
