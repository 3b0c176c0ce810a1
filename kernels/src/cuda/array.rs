//! Typed memory on a machine.

use std::marker::PhantomData;

use super::Arg;
use crate::Element;

/// `len` elements on a machine.
#[derive(Debug)]
pub struct DeviceArray<T, Memory> {
    memory: Memory,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element, Memory> DeviceArray<T, Memory> {
    /// Memory of `len` elements.
    pub(crate) fn new(memory: Memory, len: usize) -> Self {
        Self { memory, len, element: PhantomData }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// As an argument that is read.
    pub(crate) fn arg(&self) -> Arg<'_, Memory> {
        Arg::In(&self.memory)
    }

    /// As an argument that is written.
    pub(crate) fn arg_mut(&mut self) -> Arg<'_, Memory> {
        Arg::Out(&mut self.memory)
    }
}

/// The bytes of some elements.
pub(crate) fn bytes<T: Element>(host: &[T]) -> &[u8] {
    // SAFETY: elements are plain numbers without padding, and any byte is a valid u8.
    unsafe { std::slice::from_raw_parts(host.as_ptr().cast(), size_of_val(host)) }
}

/// The bytes of some elements, to be written.
pub(crate) fn bytes_mut<T: Element>(host: &mut [T]) -> &mut [u8] {
    // SAFETY: elements are plain numbers without padding, for which any bytes are valid.
    unsafe { std::slice::from_raw_parts_mut(host.as_mut_ptr().cast(), size_of_val(host)) }
}
