//! Page-locked host memory that copies go through, so that they run beside everything else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaStream, DriverError, HostSlice, PinnedHostSlice, result, sys};

/// Bytes of a large buffer: starting a copy of so many costs nothing beside it.
pub(super) const LARGE_BYTES: usize = 4 << 20;

/// Bytes of a small one: bands, rows, results.
const SMALL_BYTES: usize = 64 << 10;

/// Large buffers that are filled before one is used again: a batch's arms take that many pieces.
const LARGE_IN_FLIGHT: usize = 16;

/// Small ones: what several batches upload beside their arms. Using one again waits for its copy, and a copy
/// for the kernels that were launched before it.
const SMALL_IN_FLIGHT: usize = 256;

/// Copies to the host that are under way before the first is waited for.
const COMING: usize = 4;

/// Buffers of two sizes.
pub(super) struct Staging {
    large: Buffers,
    small: Buffers,
}

impl Staging {
    pub(super) fn new(context: &Arc<CudaContext>) -> Self {
        let buffers = |bytes, in_flight| Buffers {
            context: Arc::clone(context),
            bytes,
            in_flight,
            waiting: Mutex::default(),
        };
        Self { large: buffers(LARGE_BYTES, LARGE_IN_FLIGHT), small: buffers(SMALL_BYTES, SMALL_IN_FLIGHT) }
    }

    fn of(&self, bytes: usize) -> &Buffers {
        if bytes <= SMALL_BYTES { &self.small } else { &self.large }
    }

    /// Starts the copy of some bytes to a card's memory, which has room for them.
    pub(super) fn send(
        &self,
        stream: &CudaStream,
        host: &[u8],
        to: sys::CUdeviceptr,
    ) -> Result<(), DriverError> {
        let buffers = self.of(host.len());
        for (piece, offset) in host.chunks(buffers.bytes).zip((0..).step_by(buffers.bytes)) {
            let mut buffer = buffers.take()?;
            // Waits until the copy that used the buffer last is over.
            buffer.as_mut_slice()?[..piece.len()].copy_from_slice(piece);
            {
                // SAFETY: the buffer is changed only after its event, which the guard records after the copy.
                let (bytes, _copied) = unsafe { buffer.stream_synced_slice(stream) };
                // SAFETY: the caller's memory has room for the piece.
                unsafe { result::memcpy_htod_async(to + offset, &bytes[..piece.len()], stream.cu_stream()) }?;
            }
            buffers.put_back(buffer);
        }
        Ok(())
    }

    /// Copies from a card's memory, which holds as many bytes, and waits for them.
    pub(super) fn receive(
        &self,
        stream: &CudaStream,
        from: sys::CUdeviceptr,
        host: &mut [u8],
    ) -> Result<(), DriverError> {
        let buffers = self.of(host.len());
        let mut coming: VecDeque<(PinnedHostSlice<u8>, &mut [u8])> = VecDeque::new();
        for (piece, offset) in host.chunks_mut(buffers.bytes).zip((0..).step_by(buffers.bytes)) {
            if coming.len() == COMING {
                buffers.finish(coming.pop_front())?;
            }
            let mut buffer = buffers.take()?;
            {
                // SAFETY: the buffer is read only after its event, which the guard records after the copy.
                let (bytes, _copied) = unsafe { buffer.stream_synced_mut_slice(stream) };
                let bytes = &mut bytes[..piece.len()];
                // SAFETY: the caller's memory holds the piece.
                unsafe { result::memcpy_dtoh_async(bytes, from + offset, stream.cu_stream()) }?;
            }
            coming.push_back((buffer, piece));
        }
        while !coming.is_empty() {
            buffers.finish(coming.pop_front())?;
        }
        Ok(())
    }
}

/// Buffers of one size whose copies may still be under way, oldest first.
struct Buffers {
    context: Arc<CudaContext>,
    bytes: usize,
    in_flight: usize,
    waiting: Mutex<VecDeque<PinnedHostSlice<u8>>>,
}

impl Buffers {
    /// The buffer that was used longest ago, once there are enough to keep copies under way.
    fn take(&self) -> Result<PinnedHostSlice<u8>, DriverError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.in_flight
            && let Some(buffer) = waiting.pop_front()
        {
            return Ok(buffer);
        }
        drop(waiting);
        // SAFETY: bytes are written before they are read. Cached, because results are read from it too.
        unsafe { self.context.alloc_pinned_with_flags(self.bytes, sys::CU_MEMHOSTALLOC_PORTABLE) }
    }

    fn put_back(&self, buffer: PinnedHostSlice<u8>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Several threads may have taken new ones at the same time.
        if waiting.len() < 2 * self.in_flight {
            waiting.push_back(buffer);
        }
    }

    /// Waits for a copy to the host and hands its bytes over.
    fn finish(&self, copy: Option<(PinnedHostSlice<u8>, &mut [u8])>) -> Result<(), DriverError> {
        let Some((buffer, piece)) = copy else { return Ok(()) };
        piece.copy_from_slice(&buffer.as_slice()?[..piece.len()]);
        self.put_back(buffer);
        Ok(())
    }
}
