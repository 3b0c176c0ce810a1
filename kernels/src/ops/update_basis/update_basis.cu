// What: the components that fit best for given coefficients: per pixel (sum_s w c ct) e = sum_s w x c, by
//   Cholesky.
// In: values, weights [s, p] f32, coefficients c [s, k] f32, finite.
// Out: components [k, p] f32, spectra that determine each pixel [p] u32. Between the passes: systems
//   [sum, pixel] f64 of some pixels at a time.
// Launch: sums: ROW_GROUPS threads for each group of sums of a block, a tile of pixels at a time. solve: a
//   thread per pixel. Both walk on.
// Limits: k <= MAX_COMPONENTS.
// Deterministic because: every sum is one thread's chain over spectra in ascending order.
// Bound by: per DESI spectrum and 10 components 62 kB read, 1.1 MFLOP f32, 8 kFLOP f64: memory (A4000 0.14 us,
//   H200 13 ns, arithmetic 16 ns). For 64 components 33 MFLOP f32 and 0.26 MFLOP f64: arithmetic (A4000 1.8 us,
//   H200 0.5 us).
// Twin: cpu.rs. Source: Bailey 2012, PASP 124 1015 (the M step).
#include "cholesky.cuh"
#include "device.cuh"
#include "tile.cuh"
#include "weighted_sums.cuh"

extern "C" __global__ void __launch_bounds__(MANY_THREADS) update_basis_f32_sums(
    const float *values_sp, const float *weight_sp, const float *coeff_sk, u64 first_pixel, u64 n_rows,
    u64 n_spectra, u64 n_pixels, u32 k, u32 n_groups, double *systems, u32 *n_spectra_p)
{
    const float *values = values_sp + first_pixel, *weights = weight_sp + first_pixel;
    Terms terms = {values, weights, coeff_sk, n_rows, n_spectra, 1, n_pixels, k, 1, k};
    make_all_sums<false>(terms, n_groups, systems, n_spectra_p + first_pixel);
}

extern "C" __global__ void update_basis_f32_solve(
    double *systems, u64 first_pixel, u64 n_rows, u64 n_pixels, u32 k, float *basis_kp, u32 *n_spectra_p)
{
    for (u64 r = thread_number(); r < n_rows; r += thread_count()) {
        System system = system_of(systems, n_rows, r, k);
        u64 p = first_pixel + r;
        bool is_given = factorize(system) && n_spectra_p[p] >= k;
        substitute(system);
        for (u32 j = 0; j < k; ++j)
            is_given = is_given && fabsf((float)system.solution[j]) <= F32_MAX;
        for (u32 j = 0; j < k; ++j)
            basis_kp[j * n_pixels + p] = keep_if(is_given, (float)system.solution[j]);
        if (!is_given)
            n_spectra_p[p] = 0;
    }
}
