// What: combines the b, r and z arms into one spectrum and folds the mask into ivar = 0, by the rule's table in
//   mod.rs: W = sum of w, flux = sum of (w / W) f in arm order, ivar = W.
// In: per arm flux, ivar [s, n] f32 and mask [s, n] u32, the arm's first pixel on the grid and its n (0 = absent);
//   COADD_FIBERSTATUS [s] i32. Flux 1e-17 erg/s/cm2/A, ivar its inverse square.
// Out: flux, ivar [s, p] f32, mask [s, p] u32; every pixel is written.
// Launch: a block per spectrum, a thread per pixel, both walking on.
// Limits: any shape.
// Deterministic because: each output pixel is one thread's sum of three terms in arm order.
// Bound by: memory: 95 kB read and 93 kB written per DESI spectrum.
// Twin: cpu.rs. Source: desispec.coaddition.coadd_cameras (versions in mod.rs).
#include "device.cuh"

struct Arms {
    const float *flux[3];
    const float *ivar[3];
    const u32 *mask[3];
    u32 first[3];
    u32 n[3];
};

struct Pixel {
    float flux;
    float ivar;
    u32 mask;
};

// The only arm that the file has here.
__device__ inline Pixel copy_pixel(u32 rule, float flux, float ivar, u32 mask)
{
    bool good = is_good(flux, ivar);
    float admitted = keep_if(good, ivar);
    if (rule == RULE_DR1)
        return {keep_if(good && mask == 0, flux), keep_if(mask == 0, admitted), mask};
    if (rule == RULE_MASKED)
        return {keep_if(good, flux), admitted, mask};
    return {keep_if(fabsf(flux) <= F32_MAX, flux), admitted, admitted > 0.0f ? 0 : mask};
}

// Several arms that the file has here, those of the row that are left out weighing 0.
__device__ inline Pixel add_pixels(u32 rule, const float flux[3], const float ivar[3], const u32 mask[3],
                                     const bool used[3])
{
    float f[3], w[3], unmasked[3];
    u32 mask_or = 0;
    for (u32 a = 0; a < 3; ++a) {
        bool good = used[a] && is_good(flux[a], ivar[a]);
        f[a] = keep_if(good, flux[a]);
        w[a] = keep_if(good, ivar[a]);
        unmasked[a] = keep_if(mask[a] == 0, w[a]);
        mask_or |= used[a] ? mask[a] : 0;
    }
    bool all_masked = unmasked[0] == 0.0f && unmasked[1] == 0.0f && unmasked[2] == 0.0f;
    bool by_mask = rule == RULE_DR1 || (rule == RULE_MASKED && !all_masked);
    for (u32 a = 0; a < 3; ++a)
        w[a] = by_mask ? unmasked[a] : w[a];
    float sum = w[0] + w[1] + w[2];
    float mean = w[0] / sum * f[0] + w[1] / sum * f[1] + w[2] / sum * f[2];
    // Not good for a sum of 0 and for overflows.
    bool good = is_good(mean, sum);
    Pixel out = {keep_if(good, mean), keep_if(good, sum), by_mask ? 0 : mask_or};
    if (rule == RULE_070 && out.ivar > 0.0f)
        out.mask = 0;
    return out;
}

// Whether an arm of a row takes part.
__device__ inline bool is_used(u32 rule, int fiberstatus, u32 a)
{
    return rule == RULE_070 || (fiberstatus & (FATAL_ANY_ARM | 1 << (FATAL_ARM_B_BIT + a))) == 0;
}

__device__ inline Pixel combine(u32 rule, const Arms &arms, int fiberstatus, u64 s, u32 p)
{
    float flux[3] = {}, ivar[3] = {};
    u32 mask[3] = {};
    bool used[3] = {};
    u32 covering = 0, taking_part = 0, last = 0;
    for (u32 a = 0; a < 3; ++a) {
        if (p < arms.first[a] || p - arms.first[a] >= arms.n[a])
            continue;
        covering += 1;
        if (!is_used(rule, fiberstatus, a))
            continue;
        u64 i = s * arms.n[a] + (p - arms.first[a]);
        flux[a] = arms.flux[a][i];
        ivar[a] = arms.ivar[a][i];
        mask[a] = arms.mask[a][i];
        used[a] = true;
        taking_part += 1;
        last = a;
    }
    if (taking_part == 0)
        return {0.0f, 0.0f, 0};
    if (covering == 1)
        return copy_pixel(rule, flux[last], ivar[last], mask[last]);
    return add_pixels(rule, flux, ivar, mask, used);
}

extern "C" __global__ void combine_arms_f32(
    const float *flux_b, const float *ivar_b, const u32 *mask_b, u32 first_b, u32 n_b,
    const float *flux_r, const float *ivar_r, const u32 *mask_r, u32 first_r, u32 n_r,
    const float *flux_z, const float *ivar_z, const u32 *mask_z, u32 first_z, u32 n_z,
    const int *fiberstatus_s, u32 rule, u32 n_spectra, u32 n_pixels,
    float *out_flux, float *out_ivar, u32 *out_mask)
{
    Arms arms = {{flux_b, flux_r, flux_z}, {ivar_b, ivar_r, ivar_z}, {mask_b, mask_r, mask_z},
                 {first_b, first_r, first_z}, {n_b, n_r, n_z}};
    for (u64 s = blockIdx.x; s < n_spectra; s += gridDim.x) {
        int fiberstatus = fiberstatus_s[s];
        for (u32 p = threadIdx.x; p < n_pixels; p += blockDim.x) {
            Pixel pixel = combine(rule, arms, fiberstatus, s, p);
            u64 i = s * n_pixels + p;
            out_flux[i] = pixel.flux;
            out_ivar[i] = pixel.ivar;
            out_mask[i] = pixel.mask;
        }
    }
}
