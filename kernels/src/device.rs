//! Which device computes: asked for, then opened.

use std::fmt;
use std::str::FromStr;
use std::thread::available_parallelism;

use crate::cuda::{Cuda, Driver, ImageCache};
use crate::{Cpu, KernelError};

/// A device as asked for: `auto`, `cpu` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The first CUDA device, or the CPU with a warning.
    Auto,
    /// The CPU.
    Cpu,
    /// This CUDA device or nothing.
    Cuda(u32),
}

/// A device that is ready; the program's one `match` on it chooses the backend.
#[derive(Debug)]
pub enum Opened {
    /// The CPU backend.
    Cpu(Cpu),
    /// A CUDA card.
    Cuda(Box<Cuda<Driver>>),
}

/// What a backend runs on, for the run record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// The instruction set or the card.
    pub name: String,
    /// Worker threads of the host.
    pub threads: usize,
    /// The CUDA version that the driver serves.
    pub driver: Option<String>,
    /// Which compiled kernels were loaded.
    pub image: Option<String>,
}

/// A device's own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Bytes that nobody uses.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

impl Device {
    /// Opens the device; `threads` = 0 means one per core.
    ///
    /// The second value says why a fallback was taken, where one was.
    ///
    /// # Errors
    /// [`KernelError::DeviceUnavailable`] where a named CUDA device cannot be had.
    pub fn open(
        self,
        threads: usize,
        cache: &dyn ImageCache,
    ) -> Result<(Opened, Option<String>), KernelError> {
        let host_threads = match threads {
            0 => available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let card = |ordinal| {
            Driver::open(ordinal, host_threads, cache).map(|card| Opened::Cuda(Box::new(Cuda::new(card))))
        };
        match self {
            Self::Cpu => Ok((Opened::Cpu(Cpu::new(threads)?), None)),
            Self::Cuda(ordinal) => Ok((card(ordinal)?, None)),
            Self::Auto => match card(0) {
                Ok(opened) => Ok((opened, None)),
                Err(error) => Ok((Opened::Cpu(Cpu::new(threads)?), Some(error.to_string()))),
            },
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("`{text}` is not a device: use auto, cpu or cuda:N")),
        }
    }
}
