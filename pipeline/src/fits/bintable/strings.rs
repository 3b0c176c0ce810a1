//! Strings.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};

use super::elements::{Elements, Fault, Notes, Rows};
use super::policy::TextPolicy;

/// Strings, cut at the first NUL, trailing blanks dropped.
pub(super) struct Strings {
    width: usize,
    policy: TextPolicy,
    ends: Vec<i32>,
    bytes: Vec<u8>,
    replaced: u64,
    fault: Option<Fault>,
}

impl Strings {
    pub(super) fn new(width: usize, policy: TextPolicy, n: usize) -> Self {
        let mut ends = Vec::with_capacity(n + 1);
        ends.push(0);
        Self { width, policy, ends, bytes: Vec::new(), replaced: 0, fault: None }
    }

    fn push(&mut self, cell: &[u8]) {
        let text = clean(cell);
        if text.is_ascii() || std::str::from_utf8(text).is_ok() {
            self.bytes.extend_from_slice(text);
        } else {
            let element = self.ends.len() - 1;
            match self.policy {
                TextPolicy::Refuse => {
                    self.fault.get_or_insert(Fault::NotUtf8 { element });
                }
                TextPolicy::Replace => {
                    self.bytes.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
                    self.replaced += 1;
                }
            }
        }
        match i32::try_from(self.bytes.len()) {
            Ok(end) => self.ends.push(end),
            Err(_) => {
                self.fault.get_or_insert(Fault::TooMuch);
            }
        }
    }
}

/// The text of a cell: up to the first NUL, without blanks at its end.
fn clean(cell: &[u8]) -> &[u8] {
    let text = cell.iter().position(|&b| b == 0).map_or(cell, |end| &cell[..end]);
    &text[..text.iter().rposition(|&b| b != b' ').map_or(0, |last| last + 1)]
}

impl Elements for Strings {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        rows.cells(at, self.width).for_each(|cell| self.push(cell));
    }

    fn push_run(&mut self, bytes: &[u8], n: usize) {
        match bytes.len().checked_div(n).filter(|&width| width > 0) {
            Some(width) => bytes.chunks_exact(width).for_each(|cell| self.push(cell)),
            None => (0..n).for_each(|_| self.push(&[])),
        }
    }

    fn finish(self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let array = StringArray::new(offsets, self.bytes.into(), None);
        Ok((Arc::new(array), Notes { replaced_text: self.replaced, ..Notes::default() }))
    }
}
