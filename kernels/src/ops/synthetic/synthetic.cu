// What: synthetic AB photometry: <f_nu> = sum of energy f / (FLUX_PER_NANOMAGGY sum of photon) over the good pixels,
//   its ivar, and the share of the curve's weight that they hold.
// In: flux, ivar [s, p] f32 (1e-17 erg/s/cm2/A and its inverse square); row numbers [r] u32; per curve [f] the first
//   pixel u32, the place of its samples u32 ([f + 1]) and the whole curve's sum of T / lambda f64; the samples of all
//   curves in a row, energy = lambda T [A] and photon = T / lambda [1/A], f64.
// Out: flux [r, f] nanomaggies, ivar, coverage f32, flag u8; every one is written.
// Launch: a warp per row and curve, walking on; the warps of a block share rows.
// Limits: any shape.
// Deterministic because: a sum's 32 parts are lanes (pixel - first pixel of the curve) mod 32, added by halving.
// Bound by: per spectrum and grz curves of 5000 pixels, 40 kB read from memory, 80 kB of curves from L2, 125 kflop in
//   f64: f64 on an RTX A4000 (1.2 million spectra a second), L2 on an H200.
// Twin: cpu.rs. Source: Fukugita et al. 1996 AJ 111 1748 eq. 7; Bessell & Murphy 2012 PASP 124 140.
#include "band.cuh"

// One synthetic flux as it is stored.
struct Flux {
    float flux;
    float ivar;
    float coverage;
    u8 flag;
};

// One curve on one spectrum.
__device__ inline Flux measure(const Row &row, const Span &pixels, const double *energy_p, const double *photon_p,
                               double total_photon)
{
    double sums[3];
    span_sums(row, pixels, sums, [&](u32 p, const Pixel &pixel, double (&term)[3]) {
        double energy = p < pixels.end ? energy_p[p - pixels.first] : 0.0;
        double photon = p < pixels.end ? photon_p[p - pixels.first] : 0.0;
        term[0] = energy * pixel.flux;
        term[1] = photon * pixel.part;
        term[2] = energy * energy * pixel.variance;
    });
    double energy = sums[0], photon = sums[1], variance = sums[2];
    double coverage = photon / total_photon;
    if (coverage < CURVE_MIN_COVERAGE)
        return {0.0f, 0.0f, (float)coverage, FLAG_COVERAGE};
    double norm = FLUX_PER_NANOMAGGY * photon;
    Stored flux = stored(energy / norm, variance / (norm * norm));
    if (!flux.sound)
        return {0.0f, 0.0f, (float)coverage, FLAG_DEGENERATE};
    return {flux.value, flux.ivar, (float)coverage, 0};
}

extern "C" __global__ void synthetic_f32(
    const float *flux_sp, const float *ivar_sp, u32 n_pixels, const u32 *row_r, u32 n_rows,
    const u32 *first_f, const u32 *start_f, const double *total_photon_f, u32 n_curves,
    const double *energy, const double *photon,
    float *out_flux, float *out_ivar, float *out_coverage, u8 *out_flag)
{
    u64 n = (u64)n_rows * n_curves;
    for (u64 i = warp_number(); i < n; i += warp_count()) {
        u32 f = (u32)(i % n_curves), start = start_f[f];
        Row row = row_of(flux_sp, ivar_sp, n_pixels, row_r[i / n_curves]);
        Span pixels = span_of_pixels(first_f[f], first_f[f] + (start_f[f + 1] - start));
        Flux value = measure(row, pixels, energy + start, photon + start, total_photon_f[f]);
        if (lane_number() != 0)
            continue;
        out_flux[i] = value.flux;
        out_ivar[i] = value.ivar;
        out_coverage[i] = value.coverage;
        out_flag[i] = value.flag;
    }
}
