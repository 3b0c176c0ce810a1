//! A card behind its driver.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DriverError, LaunchConfig,
    PushKernelArg, result, sys,
};

use super::images::{self, ImageCache, Loaded};
use super::staging::{LARGE_BYTES, Staging};
use super::{Arg, Launch, Machine};
use crate::{DeviceInfo, KernelError, MemoryInfo};

/// Streams that host threads share: while one copies in, another computes and a third copies out.
const STREAMS: usize = 3;

/// A CUDA card.
///
/// Each host thread works on one of a few streams. Memory knows the events of its last use, so what one
/// stream wrote another reads only when it is there.
pub struct Driver {
    name: String,
    info: DeviceInfo,
    context: Arc<CudaContext>,
    streams: Vec<Arc<CudaStream>>,
    stream_of: Mutex<HashMap<ThreadId, usize>>,
    staging: Staging,
    functions: HashMap<&'static str, CudaFunction>,
    processors: u32,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Driver {
    /// Opens card `ordinal` and loads the kernels; `threads` is the host's share, for the record.
    ///
    /// # Errors
    /// [`KernelError::DeviceUnavailable`] with the reason; never panics, whatever is missing.
    pub fn open(ordinal: u32, threads: usize, cache: &dyn ImageCache) -> Result<Self, KernelError> {
        let name = format!("cuda:{ordinal}");
        // SAFETY: only asks the loader for a library.
        let is_driver_there = unsafe { sys::is_culib_present() };
        let opened = if is_driver_there {
            quietly(|| Self::open_present(ordinal, threads, cache, &name))
        } else {
            Err("there is no NVIDIA driver: libcuda is not found".to_owned())
        };
        opened.map_err(|reason| KernelError::DeviceUnavailable { device: name, reason })
    }

    fn open_present(
        ordinal: u32,
        threads: usize,
        cache: &dyn ImageCache,
        name: &str,
    ) -> Result<Self, String> {
        let count = CudaContext::device_count().map_err(|error| says(&error))?;
        let index = usize::try_from(ordinal).map_err(|error| error.to_string())?;
        if count <= 0 {
            return Err("the driver has no card".to_owned());
        }
        if i32::try_from(ordinal).is_ok_and(|ordinal| ordinal >= count) {
            return Err(format!("the last card that the driver has is cuda:{}", count - 1));
        }
        wait_asleep(index).map_err(|error| says(&error))?;
        let context = CudaContext::new(index).map_err(|error| says(&error))?;
        keep_freed_memory(&context);
        // Before any memory is made, so that all of it knows its events.
        let streams: Vec<Arc<CudaStream>> = (0..STREAMS)
            .map(|_| context.new_stream())
            .collect::<Result<_, _>>()
            .map_err(|error| says(&error))?;
        let (major, minor) = context.compute_capability().map_err(|error| says(&error))?;
        let Loaded { functions, image } = images::load(&context, (major, minor), cache)?;
        let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let processors = context.attribute(attribute).map_err(|error| says(&error))?;
        let card = context.name().map_err(|error| says(&error))?;
        let info = DeviceInfo {
            device: name.to_owned(),
            name: format!("{card}, sm_{major}{minor}"),
            threads,
            driver: driver_version(),
            image: Some(image),
        };
        let driver = Self {
            name: name.to_owned(),
            info,
            streams,
            stream_of: Mutex::default(),
            staging: Staging::new(&context),
            functions,
            processors: u32::try_from(processors).unwrap_or(1),
            context,
        };
        driver.try_a_copy()?;
        Ok(driver)
    }

    /// Uses every part of the driver that a run needs, while failing is still cheap.
    fn try_a_copy(&self) -> Result<(), String> {
        let sent: Vec<u8> = (0..=255).cycle().take(LARGE_BYTES + 1).collect();
        let mut received = vec![0; sent.len()];
        let memory = self.upload(&sent).map_err(|error| error.to_string())?;
        self.download(&memory, &mut received).map_err(|error| error.to_string())?;
        if sent == received { Ok(()) } else { Err("memory does not come back as it was sent".to_owned()) }
    }

    /// Memory of the card, free and in all.
    ///
    /// # Errors
    /// [`KernelError::Device`].
    fn memory_info(&self) -> Result<MemoryInfo, KernelError> {
        let (free, total) = self.done("asking for memory", self.context.mem_get_info())?;
        Ok(MemoryInfo { free_bytes: free as u64, total_bytes: total as u64 })
    }

    /// The stream of the calling thread.
    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        let mut stream_of = self.stream_of.lock().unwrap_or_else(PoisonError::into_inner);
        let next = stream_of.len() % self.streams.len();
        let index = *stream_of.entry(std::thread::current().id()).or_insert(next);
        &self.streams[index]
    }

    pub(super) fn done<T>(&self, action: &str, result: Result<T, DriverError>) -> Result<T, KernelError> {
        result.map_err(|error| KernelError::Device {
            device: self.name.clone(),
            action: action.to_owned(),
            reason: says(&error),
        })
    }

    fn room(&self, bytes: usize) -> Result<CudaSlice<u8>, KernelError> {
        let is_full = |memory: &Result<CudaSlice<u8>, DriverError>| matches!(memory, Err(error) if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let mut memory = self.alloc(bytes);
        if is_full(&memory) {
            // What other streams have freed is theirs until they come to it.
            self.done("waiting", self.context.synchronize())?;
            give_back_freed_memory(&self.context);
            memory = self.alloc(bytes);
        }
        if is_full(&memory) {
            return Err(KernelError::OutOfMemory { device: self.name.clone(), bytes });
        }
        self.done("allocation", memory)
    }

    fn alloc(&self, bytes: usize) -> Result<CudaSlice<u8>, DriverError> {
        // SAFETY: every byte that is read later is written first: by a copy, by a clearing, or by a kernel.
        unsafe { self.stream().alloc::<u8>(bytes.max(1)) }
    }
}

impl Machine for Driver {
    type Memory = CudaSlice<u8>;

    fn info(&self) -> DeviceInfo {
        self.info.clone()
    }

    fn memory(&self) -> Option<MemoryInfo> {
        self.memory_info().ok()
    }

    fn processors(&self) -> u32 {
        self.processors
    }

    fn allocate(&self, bytes: usize) -> Result<CudaSlice<u8>, KernelError> {
        self.room(bytes)
    }

    fn allocate_zeroed(&self, bytes: usize) -> Result<CudaSlice<u8>, KernelError> {
        let mut memory = self.room(bytes)?;
        self.done("clearing", self.stream().memset_zeros(&mut memory))?;
        Ok(memory)
    }

    fn upload(&self, host: &[u8]) -> Result<CudaSlice<u8>, KernelError> {
        let mut memory = self.room(host.len())?;
        let stream = self.stream();
        {
            let (start, _written) = memory.device_ptr_mut(stream);
            self.done("copying in", self.staging.send(stream, host, start))?;
        }
        Ok(memory)
    }

    fn download(&self, memory: &CudaSlice<u8>, host: &mut [u8]) -> Result<(), KernelError> {
        let stream = self.stream();
        let (start, _read) = memory.device_ptr(stream);
        self.done("copying out", self.staging.receive(stream, start, host))
    }

    fn synchronize(&self) -> Result<(), KernelError> {
        self.done("waiting", self.stream().synchronize())
    }

    unsafe fn launch(&self, launch: Launch, args: &mut [Arg<'_, CudaSlice<u8>>]) -> Result<(), KernelError> {
        let Some(function) = self.functions.get(launch.kernel) else {
            return Err(KernelError::Device {
                device: self.name.clone(),
                action: launch.kernel.to_owned(),
                reason: "the loaded image has no such kernel".to_owned(),
            });
        };
        let stream = self.stream();
        let mut builder = stream.launch_builder(function);
        for arg in args {
            match arg {
                Arg::In(memory) => builder.arg(*memory),
                Arg::Out(memory) => builder.arg(&mut **memory),
                Arg::U32(value) => builder.arg(&*value),
                Arg::I32(value) => builder.arg(&*value),
                Arg::U64(value) => builder.arg(&*value),
                Arg::F32(value) => builder.arg(&*value),
                Arg::F64(value) => builder.arg(&*value),
            };
        }
        let shape = LaunchConfig {
            grid_dim: (launch.blocks, 1, 1),
            block_dim: (launch.threads, 1, 1),
            shared_mem_bytes: launch.shared_bytes,
        };
        // SAFETY: the caller's promise.
        let launched = unsafe { builder.launch(shape) };
        self.done(launch.kernel, launched).map(|_| ())
    }
}

/// Lets the card keep what is freed: batches of one size then allocate nothing.
fn keep_freed_memory(context: &CudaContext) {
    if !context.has_async_alloc() {
        return;
    }
    // SAFETY: the device is the context's own.
    let Ok(pool) = (unsafe { result::device::get_default_mem_pool(context.cu_device()) }) else { return };
    let mut all = u64::MAX;
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the attribute is a u64. A driver that refuses it is slower, no more.
    let _ = unsafe { sys::cuMemPoolSetAttribute(pool, threshold, std::ptr::from_mut(&mut all).cast()) };
}

/// Lets go of what the card keeps and nobody uses.
fn give_back_freed_memory(context: &CudaContext) {
    // SAFETY: the device is the context's own.
    let Ok(pool) = (unsafe { result::device::get_default_mem_pool(context.cu_device()) }) else { return };
    // SAFETY: the pool is the device's. Where it refuses, the allocation that follows says what is wrong.
    let _ = unsafe { sys::cuMemPoolTrimTo(pool, 0) };
}

/// Lets threads that wait for the card sleep: the host has work for its cores.
fn wait_asleep(ordinal: usize) -> Result<(), DriverError> {
    result::init()?;
    let device = result::device::get(i32::try_from(ordinal).unwrap_or(i32::MAX))?;
    let asleep = sys::CUctx_flags::CU_CTX_SCHED_BLOCKING_SYNC as u32;
    // SAFETY: sets a number. Where another user of the card has set it otherwise, waiting costs a core, no more.
    let _ = unsafe { sys::cuDevicePrimaryCtxSetFlags_v2(device, asleep) };
    Ok(())
}

/// The CUDA version that the driver serves, as 12.4.
fn driver_version() -> Option<String> {
    let mut version = 0;
    // SAFETY: writes one number.
    let status = unsafe { sys::cuDriverGetVersion(&mut version) };
    (status == sys::CUresult::CUDA_SUCCESS)
        .then(|| format!("CUDA {}.{}", version / 1000, version % 1000 / 10))
}

/// The driver's own words for an error.
pub(super) fn says(error: &DriverError) -> String {
    let text = error.error_string().map(|text| text.to_string_lossy().into_owned());
    let name = error.error_name().map(|name| name.to_string_lossy().into_owned());
    match (name, text) {
        (Ok(name), Ok(text)) => format!("{name}: {text}"),
        _ => format!("{:?}", error.0),
    }
}

/// Turns a panic of the bindings, which is how they report a symbol that a driver lacks, into a reason.
fn quietly<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(format!("the driver lacks what is needed: {}", text.unwrap_or_default()))
    })
}
