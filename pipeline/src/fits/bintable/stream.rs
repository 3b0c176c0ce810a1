//! Reading ahead: one block is read while another is used.

use std::sync::mpsc;

use super::{Block, TableReader};
use crate::fits::FitsError;

impl TableReader<'_> {
    /// Calls `each` with every block in order, the next being read meanwhile; two blocks exist at most.
    ///
    /// # Errors
    /// Those of reading, and of `each`, which ends it.
    pub fn stream<E: From<FitsError>>(&self, mut each: impl FnMut(&Block) -> Result<(), E>) -> Result<(), E> {
        std::thread::scope(|scope| {
            let (full, blocks) = mpsc::sync_channel(0);
            let (back, empty) = mpsc::channel();
            scope.spawn(move || {
                let mut source = self.blocks();
                while let Some(next) = source.next(empty.try_recv().unwrap_or_default()).transpose() {
                    let last = next.is_err();
                    // Nobody listens any more where `each` has failed.
                    if full.send(next).is_err() || last {
                        return;
                    }
                }
            });
            for block in blocks {
                let block = block?;
                each(&block)?;
                // The reader may be done and gone.
                let _ = back.send(block);
            }
            Ok(())
        })
    }
}
