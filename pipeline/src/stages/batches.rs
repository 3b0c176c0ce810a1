//! How many rows go to the device at once, and what happens where that is too many.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use specmill_kernels::{Backend, KernelError};

/// Rows of a batch on the CPU: pieces enough for every core, little enough to hold several of.
const CPU_ROWS: usize = 64;

/// Rows of a batch on a card: each launch then has more threads than the card runs at once.
const CARD_ROWS: usize = 512;

/// Bytes that the batches of all lanes may take on the host, being read, computed and written.
const HOST_BYTES: usize = 512 << 20;

/// Batches of one lane on the host at a time.
const BATCHES_PER_LANE: usize = 6;

/// What one row takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowBytes {
    /// On the host, as read.
    pub(crate) host: usize,
    /// On the device, with everything that is made of it.
    pub(crate) device: usize,
}

/// The size of batches; it falls where the device has no room, and never changes a byte of the result.
#[derive(Debug)]
pub(crate) struct Batches {
    most_rows: AtomicUsize,
}

impl Batches {
    /// `asked` rows, or as many as suit the device where that is 0.
    pub(crate) fn new<B: Backend>(dev: &B, asked: usize, lanes: usize, row: RowBytes) -> Self {
        let rows = match (asked, dev.memory()) {
            (0, None) => CPU_ROWS,
            (0, Some(memory)) => {
                let free = usize::try_from(memory.free_bytes).unwrap_or(usize::MAX);
                let on_device = free / (lanes.max(1) * row.device);
                let on_host = HOST_BYTES / (lanes.max(1) * BATCHES_PER_LANE * row.host);
                CARD_ROWS.min(on_device).min(on_host).max(1)
            }
            (asked, _) => asked,
        };
        Self::of_rows(rows)
    }

    /// Batches of at most so many rows.
    pub(crate) fn of_rows(rows: usize) -> Self {
        Self { most_rows: AtomicUsize::new(rows.max(1)) }
    }

    /// Rows of a batch.
    pub(crate) fn most_rows(&self) -> usize {
        self.most_rows.load(Ordering::Relaxed)
    }

    /// Works on rows in order, in pieces that the device has room for: one that it has none for is halved,
    /// and so are all later ones.
    ///
    /// # Errors
    /// That of `work`, where it is not about room or a single row has none.
    pub(crate) fn in_pieces<T, E: DeviceFull>(
        &self,
        rows: Range<usize>,
        mut work: impl FnMut(Range<usize>) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let mut done = Vec::with_capacity(1);
        let mut start = rows.start;
        while start < rows.end {
            let piece = start..rows.end.min(start + self.most_rows());
            match work(piece.clone()) {
                Ok(result) => {
                    done.push(result);
                    start = piece.end;
                }
                Err(error) if error.is_device_full() && piece.len() > 1 => {
                    let half = piece.len() / 2;
                    self.most_rows.fetch_min(half, Ordering::Relaxed);
                    tracing::warn!("the device has no room for {} rows at a time: now {half}", piece.len());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// What is left of a device after an error of its own: `Some` where it does nothing more, and every later unit
/// would fail with it.
pub(crate) fn lost<B: Backend>(dev: &B, error: &KernelError) -> Option<KernelError> {
    matches!(error, KernelError::Device { .. }).then(|| dev.synchronize().err()).flatten()
}

/// An error that may say that the device has no room.
pub(crate) trait DeviceFull {
    /// Whether fewer rows at a time may do.
    fn is_device_full(&self) -> bool;
}

impl DeviceFull for KernelError {
    fn is_device_full(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. })
    }
}

impl DeviceFull for crate::error::Error {
    fn is_device_full(&self) -> bool {
        matches!(self, Self::Kernel(error) if error.is_device_full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_above(most: usize) -> impl Fn(Range<usize>) -> Result<Range<usize>, KernelError> {
        move |rows: Range<usize>| {
            if rows.len() > most {
                return Err(KernelError::OutOfMemory { device: "cuda:0".to_owned(), bytes: rows.len() });
            }
            Ok(rows)
        }
    }

    #[test]
    fn pieces_are_halved_until_they_fit_and_cover_every_row_in_order() {
        let batches = Batches::of_rows(100);
        let pieces = batches.in_pieces(7..107, full_above(30)).unwrap();
        assert_eq!(pieces.first(), Some(&(7..32)));
        assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(pieces.last().map(|rows| rows.end), Some(107));
        // Later batches start from there.
        assert_eq!(batches.most_rows(), 25);
    }

    #[test]
    fn a_row_without_room_is_an_error() {
        let batches = Batches::of_rows(8);
        assert!(batches.in_pieces(0..8, full_above(0)).is_err());
        assert_eq!(batches.most_rows(), 1);
    }

    #[test]
    fn other_errors_are_not_tried_again() {
        let batches = Batches::of_rows(8);
        let mut calls = 0;
        let result = batches.in_pieces(0..8, |_| -> Result<(), KernelError> {
            calls += 1;
            Err(KernelError::Domain { operation: "test", what: "wrong".to_owned() })
        });
        assert!(result.is_err());
        assert_eq!((calls, batches.most_rows()), (1, 8));
    }
}
