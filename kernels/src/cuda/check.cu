// What: the place of the first number that is not finite.
// In: values [n] f32; first [1] u64 holding the largest u64.
// Out: first [1] u64, the place, or untouched where every number is finite.
// Launch: a thread per number, walking on.
// Limits: any length.
// Deterministic because: the smallest of some integers does not depend on their order.
// Bound by: memory: 4 bytes read per number.
// Twin: `position` in the operations' cpu.rs. Source: none.
#include "device.cuh"

extern "C" __global__ void check_f32_finite(const float *values, u64 n, u64 *first)
{
    for (u64 i = thread_number(); i < n; i += thread_count()) {
        if (!(fabsf(values[i]) <= F32_MAX)) {
            atomicMin(first, i);
            return;
        }
    }
}
