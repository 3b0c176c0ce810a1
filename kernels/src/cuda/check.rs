//! Launch of `check.cu`: what operations refuse in arrays that live on the machine.

use super::{Arg, Cuda, DeviceArray, Launch, Machine};
use crate::{Backend, KernelError};

/// Threads per processor: as many as run side by side, each walking on.
const THREADS_PER_PROCESSOR: usize = 2048;

impl<M: Machine> Cuda<M> {
    /// The place of the first number that is not finite; waits for what was launched before.
    pub(crate) fn first_not_finite(
        &self,
        values: &DeviceArray<f32, M::Memory>,
    ) -> Result<Option<usize>, KernelError> {
        let n = values.len();
        let mut first = self.upload(&[u64::MAX])?;
        let threads = n.min(self.machine.processors() as usize * THREADS_PER_PROCESSOR);
        let args = &mut [values.arg(), Arg::U64(n as u64), first.arg_mut()];
        // SAFETY: the arguments are the kernel's, in order; it reads the array's own n numbers and writes one.
        unsafe { self.launch(Launch::per_thread("check_f32_finite", threads), args) }?;
        Ok(self.download(&first)?.first().and_then(|&place| usize::try_from(place).ok()).filter(|&at| at < n))
    }

    /// Refuses numbers that are not finite with what `refusal` makes of the first one's place and value.
    pub(crate) fn check_finite(
        &self,
        values: &DeviceArray<f32, M::Memory>,
        refusal: impl FnOnce(usize, f32) -> KernelError,
    ) -> Result<(), KernelError> {
        let Some(at) = self.first_not_finite(values)? else { return Ok(()) };
        // Only to say which number it is.
        let value = self.download(values)?.get(at).copied().unwrap_or(f32::NAN);
        Err(refusal(at, value))
    }
}
