//! Page-locked host memory that copies go through, so that they run beside everything else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaStream, DriverError, HostSlice, PinnedHostSlice, result, sys};

/// Bytes of one page-locked buffer: long enough that starting a copy costs nothing beside it.
pub(super) const PIECE_BYTES: usize = 4 << 20;

/// Copies up to here go directly: the driver keeps such bytes itself.
pub(super) const SMALL_BYTES: usize = 64 << 10;

/// Buffers that are filled before one is waited for.
const IN_FLIGHT: usize = 4;

/// Buffers kept for the next copies: those of a few threads.
const MOST_KEPT: usize = 16 * IN_FLIGHT;

/// Buffers whose copies may still be under way, oldest first.
pub(super) struct Staging {
    context: Arc<CudaContext>,
    buffers: Mutex<VecDeque<PinnedHostSlice<u8>>>,
}

impl Staging {
    pub(super) fn new(context: Arc<CudaContext>) -> Self {
        Self { context, buffers: Mutex::default() }
    }

    /// Starts the copy of at most a buffer's bytes to the card.
    pub(super) fn send(
        &self,
        stream: &CudaStream,
        piece: &[u8],
        to: sys::CUdeviceptr,
    ) -> Result<(), DriverError> {
        let mut buffer = self.take()?;
        // Waits until the copy that used the buffer last is over.
        buffer.as_mut_slice()?[..piece.len()].copy_from_slice(piece);
        {
            // SAFETY: the buffer is changed only after its event, which the guard records after the copy.
            let (bytes, _copied) = unsafe { buffer.stream_synced_slice(stream) };
            // SAFETY: the caller's memory has room for the piece.
            unsafe { result::memcpy_htod_async(to, &bytes[..piece.len()], stream.cu_stream()) }?;
        }
        self.put_back(buffer);
        Ok(())
    }

    /// Copies from the card, several pieces under way at a time, and waits for them.
    pub(super) fn receive(
        &self,
        stream: &CudaStream,
        from: sys::CUdeviceptr,
        host: &mut [u8],
    ) -> Result<(), DriverError> {
        let mut under_way: VecDeque<(PinnedHostSlice<u8>, &mut [u8])> = VecDeque::new();
        for (piece, offset) in host.chunks_mut(PIECE_BYTES).zip((0..).step_by(PIECE_BYTES)) {
            if under_way.len() == IN_FLIGHT {
                self.finish(under_way.pop_front())?;
            }
            let mut buffer = self.take()?;
            {
                // SAFETY: the buffer is read only after its event, which the guard records after the copy.
                let (bytes, _copied) = unsafe { buffer.stream_synced_mut_slice(stream) };
                let bytes = &mut bytes[..piece.len()];
                // SAFETY: the caller's memory holds the piece.
                unsafe { result::memcpy_dtoh_async(bytes, from + offset, stream.cu_stream()) }?;
            }
            under_way.push_back((buffer, piece));
        }
        while !under_way.is_empty() {
            self.finish(under_way.pop_front())?;
        }
        Ok(())
    }

    fn finish(&self, copy: Option<(PinnedHostSlice<u8>, &mut [u8])>) -> Result<(), DriverError> {
        let Some((buffer, piece)) = copy else { return Ok(()) };
        // Waits for the copy.
        piece.copy_from_slice(&buffer.as_slice()?[..piece.len()]);
        self.put_back(buffer);
        Ok(())
    }

    /// The buffer that was used longest ago, once there are enough to keep copies under way.
    fn take(&self) -> Result<PinnedHostSlice<u8>, DriverError> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() >= IN_FLIGHT
            && let Some(buffer) = buffers.pop_front()
        {
            return Ok(buffer);
        }
        drop(buffers);
        // SAFETY: bytes are written before they are read. Cached, because results are read from it too.
        unsafe { self.context.alloc_pinned_with_flags(PIECE_BYTES, sys::CU_MEMHOSTALLOC_PORTABLE) }
    }

    fn put_back(&self, buffer: PinnedHostSlice<u8>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < MOST_KEPT {
            buffers.push_back(buffer);
        }
    }
}
