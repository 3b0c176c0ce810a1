// What: divides spectra by their share a = sum of w f m / sum of w m^2 of a mean m and takes it off: f / a - m.
// In: flux, ivar [s, p] f32; mean [p] f32, finite, 0 where the model covers nothing.
// Out: _share: amplitude and its S/N [s] f32, good pixels [s] u32; _take_off: residual and weight [s, p] f32. Every
//   number is written.
// Launch: _share: a warp per spectrum; _take_off, after it: a block per spectrum, a thread per pixel. Both walk on.
// Limits: any shape.
// Deterministic because: the sums run in lane order; each residual is one thread's.
// Bound by: memory: 62 kB read twice, 62 kB written and 12 flops per pixel of a DESI spectrum, 420 us per 1000 spectra
//   on an RTX A4000, 39 us on an H200; the six f64 operations per pixel of _share take 310 us and 8 us.
// Twin: cpu.rs. Source: weighted least squares of one coefficient.
#include "device.cuh"

// Whether a pixel counts: good, and the mean not 0.
__device__ inline bool counts(float flux, float ivar, float mean) { return is_good(flux, ivar) && mean != 0.0f; }

extern "C" __global__ void normalize_f32_share(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, const float *__restrict__ mean_p,
    u32 n_spectra, u32 n_pixels, float *amplitude_s, float *snr_s, u32 *n_good_s)
{
    for (u64 s = warp_number(); s < n_spectra; s += warp_count()) {
        const float *flux_p = flux_sp + s * n_pixels, *ivar_p = ivar_sp + s * n_pixels;
        double along = 0.0, norm = 0.0;
        u32 n_good = 0;
        for (u64 p = lane_number(); p < n_pixels; p += LANES) {
            bool keep = counts(flux_p[p], ivar_p[p], mean_p[p]);
            double flux = keep_if(keep, flux_p[p]);
            double ivar = keep_if(keep, ivar_p[p]), mean = mean_p[p];
            double weight = ivar * mean;
            along = __fma_rn(weight, flux, along);
            norm = __fma_rn(weight, mean, norm);
            n_good += keep;
        }
        along = sum_lanes(along);
        norm = sum_lanes(norm);
        // A sum of counts is exact and below 2^32.
        double n_good_all = sum_lanes((double)n_good);
        float amplitude = (float)(along / norm), snr = (float)(along / norm * sqrt(norm));
        bool determined = fabsf(amplitude) <= F32_MAX && fabsf(snr) <= F32_MAX;
        if (lane_number() == 0) {
            amplitude_s[s] = keep_if(determined, amplitude);
            snr_s[s] = keep_if(determined, snr);
            n_good_s[s] = (u32)n_good_all;
        }
    }
}

extern "C" __global__ void normalize_f32_take_off(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, const float *__restrict__ mean_p,
    const float *__restrict__ amplitude_s, u32 n_spectra, u32 n_pixels,
    float *__restrict__ residual_sp, float *__restrict__ weight_sp)
{
    for (u64 s = blockIdx.x; s < n_spectra; s += gridDim.x) {
        float a = amplitude_s[s];
        for (u32 p = threadIdx.x; p < n_pixels; p += blockDim.x) {
            u64 i = s * n_pixels + p;
            float flux = flux_sp[i], ivar = ivar_sp[i], mean = mean_p[p];
            float residual = flux / a - mean, weight = ivar * a * a;
            bool keep = a > 0.0f && counts(flux, ivar, mean) && is_good(residual, weight);
            residual_sp[i] = keep_if(keep, residual);
            weight_sp[i] = keep_if(keep, weight);
        }
    }
}
