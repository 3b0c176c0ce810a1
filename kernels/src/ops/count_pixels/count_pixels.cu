// What: counts pixels with ivar > 0, and those of them with mask != 0.
// In: ivar [s, p] f32, mask [s, p] u32.
// Out: n_good [s] u32, n_masked [s] u32; every element is written.
// Launch: a warp per spectrum, a lane per pixel, both walking on.
// Limits: any shape.
// Deterministic because: whole numbers add up to the same in any order.
// Bound by: memory: 62 kB read per DESI spectrum.
// Twin: cpu.rs. Source: none.
#include "device.cuh"

extern "C" __global__ void count_pixels_u32(const float *ivar_sp, const u32 *mask_sp, u32 n_spectra, u32 n_pixels,
                                            u32 *n_good_s, u32 *n_masked_s)
{
    for (u64 s = warp_number(); s < n_spectra; s += warp_count()) {
        u32 good = 0, masked = 0;
        for (u32 p = lane_number(); p < n_pixels; p += LANES) {
            u64 i = s * n_pixels + p;
            bool is_good = ivar_sp[i] > 0.0f;
            good += is_good;
            masked += is_good && mask_sp[i] != 0;
        }
        good = sum_lanes(good);
        masked = sum_lanes(masked);
        if (lane_number() == 0) {
            n_good_s[s] = good;
            n_masked_s[s] = masked;
        }
    }
}
