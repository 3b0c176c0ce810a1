// What: 1 / (1.4826 MAD)^2 of the pulls (flux - continuum) sqrt(ivar) over an arm's good pixels, in f64.
// In: flux, ivar [s, p] f32; per row its spectrum u32; continuum [row, p] f32 and valid [row, p] u8; per arm [first
//   pixel, one past the last] u32.
// Out: scale [s, a] f32, number of pulls [s, a] u32, flag [s, a] u8.
// Launch: a block per row and arm, walking on.
// Limits: any shape; what is beyond 2816 pixels of an arm is computed anew at every look.
// Deterministic because: an order statistic is the same in any order, and integer counts too.
// Bound by: f64 where it is slow: 101 kB read and some 20 f64 operations per pixel of a DESI spectrum, 1 ms per 1000
//   spectra on an RTX A4000; on an H200 the looks at the keys, about twelve at 8 instructions each, 100 us.
// Twin: cpu.rs. Source: Hampel 1974.
#include "device.cuh"
#include "select.cuh"

struct Pulls {
    const float *flux_p;
    const float *ivar_p;
    const float *median_p;
    const u8 *valid_p;
    // Whether it is the distances from `middle` that are asked for.
    bool away;
    double middle;

    // The key of a pull, as what it stands for now.
    __device__ u64 moved(u64 key) const
    {
        return away && key != NO_KEY ? to_key(fabs(from_key(key) - middle)) : key;
    }

    __device__ u64 key(u32 p) const
    {
        float flux = flux_p[p], ivar = ivar_p[p];
        if (valid_p[p] != 1 || !is_good(flux, ivar))
            return NO_KEY;
        return moved(to_key(((double)flux - (double)median_p[p]) * sqrt((double)ivar)));
    }
};

struct Scale {
    float scale;
    u32 n_pixels;
    u8 flag;
};

// The scale of one arm of one spectrum.
__device__ inline Scale scale_of(Pulls &pulls, u32 n, u64 *kept)
{
    Keys<Pulls> keys = {pulls, kept, n};
    keys.keep();
    u32 own = 0;
    for (u32 p = threadIdx.x; p < n; p += blockDim.x)
        own += keys.at(p) != NO_KEY;
    u32 n_pixels = sum_block(own);
    if (n_pixels < SCALE_MIN_PIXELS)
        return {0.0f, n_pixels, FLAG_COVERAGE};
    pulls.middle = median(keys, n_pixels);
    pulls.away = true;
    for (u32 p = threadIdx.x; p < n && p < KEPT_KEYS; p += blockDim.x)
        kept[p] = pulls.moved(kept[p]);
    double sigma = SIGMA_PER_MAD * median(keys, n_pixels);
    float scale = (float)(1.0 / (sigma * sigma));
    if (!(scale <= F32_MAX && scale > 0.0f))
        return {0.0f, n_pixels, FLAG_DEGENERATE};
    return {scale, n_pixels, 0};
}

extern "C" __global__ void ivar_scale_f32(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, u32 n_pixels,
    const u32 *__restrict__ row_s, const float *__restrict__ median_sp, const u8 *__restrict__ valid_sp,
    const u32 *__restrict__ pixels_a, u32 n_arms, u64 n_results,
    float *__restrict__ scale_sa, u32 *__restrict__ n_pixels_sa, u8 *__restrict__ flag_sa)
{
    __shared__ u64 kept[KEPT_KEYS];
    for (u64 i = blockIdx.x; i < n_results; i += gridDim.x) {
        u64 row = i / n_arms, a = i % n_arms;
        u32 first = pixels_a[2 * a], end = pixels_a[2 * a + 1];
        u64 start = (u64)row_s[row] * n_pixels + first, of_row = row * n_pixels + first;
        Pulls pulls = {flux_sp + start, ivar_sp + start, median_sp + of_row, valid_sp + of_row, false, 0.0};
        Scale scale = scale_of(pulls, end - first, kept);
        if (threadIdx.x == 0) {
            scale_sa[i] = scale.scale;
            n_pixels_sa[i] = scale.n_pixels;
            flag_sa[i] = scale.flag;
        }
    }
}
