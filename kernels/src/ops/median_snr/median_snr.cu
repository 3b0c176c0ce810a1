// What: median of sqrt(ivar) flux / sqrt(step) over an arm's pixels inside its range, in f64; what does not count is 0.
// In: flux, ivar [s, n] f32 of one arm, the range's pixels, 1 / sqrt(step) f64.
// Out: S/N [s, 3] f32, column `arm`; 0 where the range is empty.
// Launch: a block per spectrum, walking on; once per arm.
// Limits: any shape; what is beyond 2816 pixels of a range is computed anew at every look.
// Deterministic because: an order statistic is the same in any order, and integer counts too.
// Bound by: the f64 square roots where f64 is slow: 58 kB read and some 20 f64 operations for each of 7250 pixels of a
//   DESI spectrum, 1 ms per 1000 spectra on an RTX A4000; on an H200 the looks at the keys, about six at 8 instructions
//   each, 50 us (memory alone would take 130 us and 12 us).
// Twin: cpu.rs. Source: desispec.specscore, MEDIAN_COADD_SNR.
#include "device.cuh"
#include "select.cuh"

struct Snr {
    const float *flux_p;
    const float *ivar_p;
    double per_root_aa;

    __device__ u64 key(u32 p) const
    {
        float flux = flux_p[p], ivar = ivar_p[p];
        // A pixel that does not count is one of flux and ivar 0.
        bool good = is_good(flux, ivar);
        flux = keep_if(good, flux);
        ivar = keep_if(good, ivar);
        return to_key(sqrt((double)ivar) * (double)flux * per_root_aa);
    }
};

extern "C" __global__ void median_snr_f32(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, u32 n_spectra, u32 n_pixels,
    u32 first, u32 n_range, double per_root_aa, u32 arm, float *__restrict__ snr_sa)
{
    __shared__ u64 kept[KEPT_KEYS];
    for (u64 s = blockIdx.x; s < n_spectra; s += gridDim.x) {
        u64 start = s * n_pixels + first;
        Snr snr_p = {flux_sp + start, ivar_sp + start, per_root_aa};
        Keys<Snr> keys = {snr_p, kept, n_range};
        keys.keep();
        float snr = n_range == 0 ? 0.0f : (float)median(keys, n_range);
        if (threadIdx.x == 0)
            // +0 for -0.
            snr_sa[3 * s + arm] = snr + 0.0f;
    }
}
