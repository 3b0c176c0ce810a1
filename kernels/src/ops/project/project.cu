// What: weighted least-squares coefficients: (E W Et) c = E W x by Cholesky, chi2 = sum of w (x - Et c)^2 over
//   the residual, constraint = least pivot over mean weight.
// In: values, weights [s, p] f32, basis E [k, p] f32, finite.
// Out: coefficients, variances, gains [s, k] f32, chi2, chi2_0 [s] f64, constraint [s] f32, n_good [s] u32.
//   Between the passes: sum of w and least pivot [s] f64, systems [sum, row] f64 of some spectra at a time.
// Launch: weights: a warp per spectrum. sums: ROW_GROUPS threads for each group of sums of a block, a tile of
//   spectra at a time. solve: a thread per spectrum. residuals: a warp per four spectra. All walk on.
// Limits: k <= MAX_COMPONENTS.
// Deterministic because: every sum is one thread's chain in ascending order, or 32 lanes and the halving tree.
// Bound by: per DESI spectrum and 10 components 62 kB read three times, 1.2 MFLOP f32, 0.05 MFLOP f64: memory
//   and, on an A4000, f64 (0.4 us each); on an H200 memory (40 ns). For 64 components 33 MFLOP f32 and 0.5 MFLOP
//   f64: f64 on an A4000 (3 us), f32 on an H200 (0.5 us).
// Twin: cpu.rs. Source: Bailey 2012, PASP 124 1015 (the E step).
#include "cholesky.cuh"
#include "device.cuh"
#include "tile.cuh"
#include "weighted_sums.cuh"

// Spectra of a warp, and pixels of a lane, whose residuals are taken at once.
constexpr u32 SPECTRA = 4;
constexpr u32 PIXELS = 4;

// Whether a pixel counts.
__device__ inline bool counts(float x, float w) { return is_good(x, w) && fabsf(w * x) <= F32_MAX; }

extern "C" __global__ void project_f32_weights(const float *values_sp, const float *weight_sp, u64 n_spectra,
                                               u64 n_pixels, double *weight_s, double *chi2_0_s, u32 *n_good_s)
{
    for (u64 s = warp_number(); s < n_spectra; s += warp_count()) {
        double weight = 0.0, before = 0.0;
        u32 n_good = 0;
        for (u64 p = lane_number(); p < n_pixels; p += LANES) {
            float x = values_sp[s * n_pixels + p], w = weight_sp[s * n_pixels + p];
            bool is_counted = counts(x, w);
            n_good += is_counted;
            weight += (double)keep_if(is_counted, w);
            before += (double)keep_if(is_counted, w * x * x);
        }
        weight = sum_lanes(weight);
        before = sum_lanes(before);
        for (u32 half = LANES / 2; half > 0; half /= 2)
            n_good += __shfl_down_sync(FULL_WARP, n_good, half);
        if (lane_number() == 0) {
            weight_s[s] = weight;
            chi2_0_s[s] = before;
            n_good_s[s] = n_good;
        }
    }
}

extern "C" __global__ void __launch_bounds__(MANY_THREADS) project_f32_sums(
                                            const float *values_sp, const float *weight_sp,
                                            const float *basis_kp, u64 first_row, u64 n_rows, u64 n_pixels,
                                            u32 k, u32 n_groups, double *systems)
{
    u64 first = first_row * n_pixels;
    Terms terms = {values_sp + first, weight_sp + first, basis_kp, n_rows, n_pixels, n_pixels, 1, 1, n_pixels, k};
    make_all_sums<true>(terms, n_groups, systems, nullptr);
}

// Coefficients, variances and gains; all 0 where a system is not determined.
extern "C" __global__ void project_f32_solve(double *systems, u64 first_row, u64 n_rows, u32 k,
                                             double *least_pivot_s, float *coeff_sk, float *variance_sk,
                                             float *gain_sk)
{
    for (u64 r = thread_number(); r < n_rows; r += thread_count()) {
        System system = system_of(systems, n_rows, r, k);
        Elements column = {&system.solution[k], n_rows};
        bool is_determined = factorize(system);
        substitute(system);
        least_pivot_s[first_row + r] = is_determined ? least_pivot(system) : 0.0;
        for (u32 j = 0; j < k; ++j) {
            u64 at = (first_row + r) * k + j;
            double half = system.half[j];
            coeff_sk[at] = keep_if(is_determined, (float)system.solution[j]);
            variance_sk[at] = keep_if(is_determined, (float)variance(system, j, column));
            gain_sk[at] = keep_if(is_determined, (float)(half * half));
        }
    }
}

// The results of a spectrum that the last pass still changes.
struct Block {
    float *coeff_sk, *variance_sk, *gain_sk;
    double *chi2_s, *chi2_0_s;
    float *constraint_s;
    u32 k;
};

__device__ inline bool is_finite(float value) { return fabsf(value) <= F32_MAX; }

// Takes back every result of a spectrum that cannot be given; by a whole warp.
__device__ inline void finish(const Block &block, u64 s, double least_pivot, double weight, u32 n_good,
                              double after)
{
    double before = block.chi2_0_s[s];
    float constraint = (float)(least_pivot / (weight / (double)n_good));
    bool is_sound = n_good > block.k && constraint > 0.0f && is_finite(constraint) && fabs(before) <= F64_MAX &&
                    fabs(after) <= F64_MAX;
    for (u32 j = lane_number(); j < block.k; j += LANES) {
        u64 at = s * block.k + j;
        is_sound = is_sound && is_finite(block.coeff_sk[at]) && is_finite(block.variance_sk[at]) &&
                   is_finite(block.gain_sk[at]);
    }
    is_sound = __all_sync(FULL_WARP, is_sound);
    if (lane_number() == 0) {
        block.chi2_s[s] = is_sound ? after : 0.0;
        block.chi2_0_s[s] = is_sound ? before : 0.0;
        block.constraint_s[s] = keep_if(is_sound, constraint);
    }
    for (u32 j = lane_number(); !is_sound && j < block.k; j += LANES) {
        u64 at = s * block.k + j;
        block.coeff_sk[at] = block.variance_sk[at] = block.gain_sk[at] = 0.0f;
    }
}

// x - sum of c_j E_jp of up to SPECTRA spectra, and the lane's share of sum of w r^2.
__device__ inline void add_residuals(const float *values_sp, const float *weight_sp, const float *basis_kp,
                                     const float *coeff_sk, const u64 row[SPECTRA], u64 first, u64 n_pixels,
                                     u32 k, double after[SPECTRA])
{
    float residual[SPECTRA][PIXELS], weight[SPECTRA][PIXELS];
    for (u32 i = 0; i < PIXELS; ++i)
        for (u32 r = 0; r < SPECTRA; ++r) {
            u64 p = first + i * LANES;
            float x = p < n_pixels ? values_sp[row[r] * n_pixels + p] : 0.0f;
            float w = p < n_pixels ? weight_sp[row[r] * n_pixels + p] : 0.0f;
            residual[r][i] = x;
            weight[r][i] = keep_if(counts(x, w), w);
        }
    for (u32 j = 0; j < k; ++j) {
        float component[PIXELS];
        for (u32 i = 0; i < PIXELS; ++i) {
            u64 p = first + i * LANES;
            component[i] = p < n_pixels ? basis_kp[j * n_pixels + p] : 0.0f;
        }
        for (u32 r = 0; r < SPECTRA; ++r) {
            float c = coeff_sk[row[r] * k + j];
            for (u32 i = 0; i < PIXELS; ++i)
                residual[r][i] = __fmaf_rn(-c, component[i], residual[r][i]);
        }
    }
    for (u32 i = 0; i < PIXELS; ++i)
        for (u32 r = 0; r < SPECTRA; ++r) {
            float w = weight[r][i];
            after[r] += (double)keep_if(w > 0.0f, w * residual[r][i] * residual[r][i]);
        }
}

extern "C" __global__ void project_f32_residuals(
    const float *values_sp, const float *weight_sp, const float *basis_kp, u64 n_spectra, u64 n_pixels, u32 k,
    const double *weight_s, const double *least_pivot_s, const u32 *n_good_s, float *coeff_sk, float *variance_sk,
    float *gain_sk, double *chi2_s, double *chi2_0_s, float *constraint_s)
{
    Block block = {coeff_sk, variance_sk, gain_sk, chi2_s, chi2_0_s, constraint_s, k};
    for (u64 w = warp_number(); w * SPECTRA < n_spectra; w += warp_count()) {
        u64 row[SPECTRA];
        double after[SPECTRA] = {};
        // Behind the last spectrum it stands again, and is not written.
        for (u32 r = 0; r < SPECTRA; ++r)
            row[r] = w * SPECTRA + r < n_spectra ? w * SPECTRA + r : n_spectra - 1;
        for (u64 first = lane_number(); first - lane_number() < n_pixels; first += PIXELS * LANES)
            add_residuals(values_sp, weight_sp, basis_kp, coeff_sk, row, first, n_pixels, k, after);
        for (u32 r = 0; r < SPECTRA; ++r) {
            double sum = sum_lanes(after[r]);
            u64 s = row[r];
            if (w * SPECTRA + r == s)
                finish(block, s, least_pivot_s[s], weight_s[s], n_good_s[s], sum);
        }
    }
}
