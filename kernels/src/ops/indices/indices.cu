// What: absorption indices: R = mean of F / F_c over the band, F_c the straight line through the means of two
//   sidebands; the equivalent width (1 - R) times the band's rest-frame width, or R itself; and its ivar.
// In: flux, ivar [s, p] f32 (1e-17 erg/s/cm2/A and its inverse square); row numbers [r] u32, redshifts [r] f64;
//   bands [i, 6] f64 (lo and hi of band, blue, red; rest-frame A), kinds [i] u32; the grid.
// Out: value, ivar, good fraction [r, i] f32, flag u8; every one is written.
// Launch: a warp per row and index, walking on; the warps of a block share rows.
// Limits: any shape.
// Deterministic because: a sum's 32 parts are lanes (pixel - first pixel of the band) mod 32, added by halving; sums
//   over shared pixels go in order of pixels.
// Bound by: per index of 3 bands of 50 pixels, 1.2 kB read and about 450 f64 instructions of a warp (14 kflop): f64 on
//   an RTX A4000 (10 million indices a second), latency of short loops on an H200.
// Twin: cpu.rs. Source: Worthey et al. 1994 ApJS 94 687 eqs. 1-3; Cardiel et al. 1998 A&AS 127 597.
#include "band.cuh"

// One index as it is stored.
struct Index {
    float value;
    float ivar;
    float good_fraction;
    u8 flag;
};

// The bands of an index on the pixels of one spectrum.
struct Spans {
    Span band;
    Span blue;
    Span red;
};

// Sums over a sideband.
struct Sideband {
    // Mean flux.
    double mean;
    // Sum of phi.
    double part;
    // Sum of phi^2 var.
    double variance;
    // Missing pixels.
    double missing;
};

// The straight line through the sideband means.
struct PseudoContinuum {
    // Mean flux of the blue sideband.
    double blue;
    // Red mean - blue mean.
    double rise;
    // Midpoint of the blue sideband, edge coordinate.
    double x_blue;
    // 1 / distance between the midpoints, pixels.
    double per_pixel;
};

// Sums over the feature band.
struct BandSums {
    // Sum of phi F / F_c.
    double scaled;
    // Sum of phi.
    double part;
    // Sum of phi F (1 - t) / F_c^2.
    double by_blue;
    // Sum of phi F t / F_c^2.
    double by_red;
    // Sum of (phi / F_c)^2 var.
    double variance;
    // Missing pixels.
    double missing;
};

__device__ inline Sideband sideband_of(const Row &row, const Span &span)
{
    double sums[4];
    span_sums(row, span, sums, [](u32, const Pixel &pixel, double (&term)[4]) {
        term[0] = pixel.part * pixel.flux;
        term[1] = pixel.part;
        term[2] = pixel.part * pixel.part * pixel.variance;
        term[3] = pixel.missing;
    });
    return {sums[0] / sums[1], sums[1], sums[2], sums[3]};
}

__device__ inline PseudoContinuum line_through(const Spans &spans, const Sideband &blue, const Sideband &red)
{
    double x_blue = 0.5 * (spans.blue.lo + spans.blue.hi), x_red = 0.5 * (spans.red.lo + spans.red.hi);
    return {blue.mean, red.mean - blue.mean, x_blue, 1.0 / (x_red - x_blue)};
}

// t = 0 at the blue midpoint, 1 at the red one.
__device__ inline double t_of(const PseudoContinuum &line, double x) { return (x - line.x_blue) * line.per_pixel; }

// F_c.
__device__ inline double at(const PseudoContinuum &line, double t) { return line.blue + line.rise * t; }

// Whether the line is positive at both midpoints and over the band's pixels: a straight line is so wherever it is
// at both ends.
__device__ inline bool is_positive(const PseudoContinuum &line, const Span &band)
{
    double first = t_of(line, (double)band.first + 0.5), last = t_of(line, (double)(band.end - 1) + 0.5);
    return at(line, 0.0) > 0.0 && at(line, 1.0) > 0.0 && at(line, first) > 0.0 && at(line, last) > 0.0;
}

__device__ inline BandSums band_sums(const Row &row, const Span &band, const PseudoContinuum &line)
{
    double sums[6];
    span_sums(row, band, sums, [&](u32, const Pixel &pixel, double (&term)[6]) {
        double t = t_of(line, pixel.x);
        // A pixel outside the band may lie where the line crosses 0.
        double inverse = pixel.part > 0.0 ? 1.0 / at(line, t) : 0.0;
        double own = pixel.part * inverse;
        double scaled = own * pixel.flux;
        double slope = scaled * inverse;
        term[0] = scaled;
        term[1] = pixel.part;
        term[2] = slope * (1.0 - t);
        term[3] = slope * t;
        term[4] = own * own * pixel.variance;
        term[5] = pixel.missing;
    });
    return {sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]};
}

// var(R).
__device__ inline double variance_of(const Row &row, const Spans &spans, const Sideband &blue, const Sideband &red,
                                     const PseudoContinuum &line, const BandSums &sums)
{
    // Coefficients: own per phi / F_c of the band, -per_blue per phi of the blue sideband, -per_red alike.
    double own = 1.0 / sums.part;
    double per_blue = sums.by_blue * own / blue.part, per_red = sums.by_red * own / red.part;
    double disjoint = own * own * sums.variance + per_blue * per_blue * blue.variance
        + per_red * per_red * red.variance;
    auto band_part = [&](u32 p) {
        return fraction(spans.band, p) * (1.0 / at(line, t_of(line, (double)p + 0.5)));
    };
    double with_blue = shared_sum(row, spans.band, spans.blue,
                                  [&](u32 p) { return band_part(p) * fraction(spans.blue, p); });
    double with_red = shared_sum(row, spans.band, spans.red,
                                 [&](u32 p) { return band_part(p) * fraction(spans.red, p); });
    double both = shared_sum(row, spans.blue, spans.red,
                             [&](u32 p) { return fraction(spans.blue, p) * fraction(spans.red, p); });
    return disjoint - 2.0 * own * (per_blue * with_blue + per_red * with_red) + 2.0 * per_blue * per_red * both;
}

// One index of one spectrum.
__device__ inline Index measure(const Row &row, const Frame &frame, const double bands[6], u32 kind)
{
    Spans spans = {span_of(frame, bands[0], bands[1]), span_of(frame, bands[2], bands[3]),
                   span_of(frame, bands[4], bands[5])};
    if (!is_on(spans.band, frame) || !is_on(spans.blue, frame) || !is_on(spans.red, frame))
        return {0.0f, 0.0f, 0.0f, FLAG_OUT_OF_RANGE};
    Sideband blue = sideband_of(row, spans.blue), red = sideband_of(row, spans.red);
    PseudoContinuum line = line_through(spans, blue, red);
    BandSums sums = band_sums(row, spans.band, line);

    double good = sums.part / width(spans.band);
    if (good < INDEX_MIN_GOOD || blue.part / width(spans.blue) < INDEX_MIN_GOOD
        || red.part / width(spans.red) < INDEX_MIN_GOOD)
        return {0.0f, 0.0f, (float)good, FLAG_COVERAGE};
    if (!is_positive(line, spans.band))
        return {0.0f, 0.0f, (float)good, FLAG_CONTINUUM};
    double value = sums.scaled / sums.part;
    double variance = variance_of(row, spans, blue, red, line, sums);
    if (kind == INDEX_ANGSTROM) {
        double width_aa = bands[1] - bands[0];
        value = width_aa * (1.0 - value);
        variance = width_aa * width_aa * variance;
    }
    Stored index = stored(value, variance);
    if (!index.sound)
        return {0.0f, 0.0f, (float)good, FLAG_DEGENERATE};
    bool any_missing = sums.missing + blue.missing + red.missing > 0.0;
    return {index.value, index.ivar, (float)good, any_missing ? (u8)FLAG_PARTIAL : (u8)0};
}

extern "C" __global__ void indices_f32(
    const float *flux_sp, const float *ivar_sp, double first_aa, double step_aa, u32 n_pixels,
    const u32 *row_r, const double *z_r, u32 n_rows, const double *bands_i, const u32 *kind_i, u32 n_indices,
    float *out_value, float *out_ivar, float *out_good, u8 *out_flag)
{
    u64 n = (u64)n_rows * n_indices;
    for (u64 item = warp_number(); item < n; item += warp_count()) {
        u32 r = (u32)(item / n_indices), i = (u32)(item % n_indices);
        Row row = row_of(flux_sp, ivar_sp, n_pixels, row_r[r]);
        Frame frame = {first_aa, step_aa, n_pixels, z_r[r]};
        Index index = measure(row, frame, bands_i + 6 * (u64)i, kind_i[i]);
        if (lane_number() != 0)
            continue;
        out_value[item] = index.value;
        out_ivar[item] = index.ivar;
        out_good[item] = index.good_fraction;
        out_flag[item] = index.flag;
    }
}
