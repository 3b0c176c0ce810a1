// What: median of flux sqrt(ivar) / sqrt(step) over a window's pixels, in f64; missing pixels count as 0.
// In: flux, ivar [s, p] f32; per row its spectrum u32; per row and window [first pixel, one past the last] u32, first
//   beyond last where the window is not on the grid; sqrt(step) f64.
// Out: S/N [s, i] f32, flag [s, i] u8.
// Launch: a block per row and window, walking on.
// Limits: any shape; what is beyond 2816 pixels of a window is computed anew at every look.
// Deterministic because: an order statistic is the same in any order, and integer counts too.
// Bound by: f64 where it is slow: 8 B read and some 30 f64 operations per pixel, 25 us per 1000 windows of 125 pixels
//   on an RTX A4000; on an H200 the waits at some 20 barriers per window, about 5 us.
// Twin: cpu.rs. Source: desispec.specscore, in other windows.
#include "device.cuh"
#include "select.cuh"

struct Snr {
    const float *flux_p;
    const float *ivar_p;
    double root_aa;

    __device__ bool good(u32 p) const { return is_good(flux_p[p], ivar_p[p]); }

    __device__ u64 key(u32 p) const
    {
        return to_key(good(p) ? (double)flux_p[p] * sqrt((double)ivar_p[p]) / root_aa : 0.0);
    }
};

struct Measured {
    float snr;
    u8 flag;
};

// One window of one spectrum.
__device__ inline Measured measure(const Snr &snr_p, u32 n, u64 *kept)
{
    Keys<Snr> keys = {snr_p, kept, n};
    keys.keep();
    u32 own = 0;
    for (u32 p = threadIdx.x; p < n; p += blockDim.x)
        own += snr_p.good(p);
    u32 good = sum_block(own);
    if (good == 0 || good < n - good)
        return {0.0f, FLAG_COVERAGE};
    float snr = (float)median(keys, n);
    if (!(fabsf(snr) <= F32_MAX))
        return {0.0f, FLAG_DEGENERATE};
    return {snr, 0};
}

extern "C" __global__ void window_snr_f32(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, u32 n_pixels,
    const u32 *__restrict__ row_s, const u32 *__restrict__ pixels_si, u32 n_windows, u64 n_results, double root_aa,
    float *__restrict__ snr_si, u8 *__restrict__ flag_si)
{
    __shared__ u64 kept[KEPT_KEYS];
    for (u64 i = blockIdx.x; i < n_results; i += gridDim.x) {
        u32 first = pixels_si[2 * i], end = pixels_si[2 * i + 1];
        u64 start = (u64)row_s[i / n_windows] * n_pixels + first;
        Measured measured = {0.0f, FLAG_OUT_OF_RANGE};
        if (first <= end)
            measured = measure({flux_sp + start, ivar_sp + start, root_aa}, end - first, kept);
        if (threadIdx.x == 0) {
            snr_si[i] = measured.snr;
            flag_si[i] = measured.flag;
        }
    }
}
