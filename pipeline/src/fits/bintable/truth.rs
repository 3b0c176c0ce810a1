//! Logicals and bits.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::NullBuffer;

use super::elements::{Elements, Fault, Notes, Rows};

/// T, F and null.
pub(super) struct Logicals {
    values: BooleanBufferBuilder,
    valid: BooleanBufferBuilder,
    odd: u64,
}

impl Logicals {
    pub(super) fn new(n: usize) -> Self {
        Self { values: BooleanBufferBuilder::new(n), valid: BooleanBufferBuilder::new(n), odd: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.values.append(byte == b'T');
        self.valid.append(matches!(byte, b'T' | b'F'));
        self.odd += u64::from(!matches!(byte, b'T' | b'F' | 0));
    }
}

impl Elements for Logicals {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        rows.cells(at, 1).for_each(|cell| self.push(cell[0]));
    }

    fn push_run(&mut self, bytes: &[u8], _: usize) {
        bytes.iter().for_each(|&byte| self.push(byte));
    }

    fn finish(mut self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        let array = BooleanArray::new(self.values.finish(), Some(NullBuffer::new(self.valid.finish())));
        Ok((Arc::new(array), Notes { odd_logicals: self.odd, ..Notes::default() }))
    }
}

/// Bits, the highest of a byte first.
pub(super) struct Bits {
    bits: BooleanBufferBuilder,
}

impl Bits {
    pub(super) fn new(n: usize) -> Self {
        Self { bits: BooleanBufferBuilder::new(n) }
    }
}

impl Elements for Bits {
    fn push_column(&mut self, rows: Rows<'_>, at: usize) {
        rows.cells(at, 1).for_each(|cell| self.push_run(cell, 1));
    }

    fn push_run(&mut self, bytes: &[u8], n: usize) {
        (0..n).for_each(|i| self.bits.append(bytes[i / 8] & (0x80 >> (i % 8)) != 0));
    }

    fn finish(mut self: Box<Self>) -> Result<(ArrayRef, Notes), Fault> {
        Ok((Arc::new(BooleanArray::new(self.bits.finish(), None)), Notes::default()))
    }
}
