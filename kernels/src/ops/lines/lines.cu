// What: emission lines in windows: the flux above a straight continuum fitted to two sidebands (missing pixels of the
//   window bridged), its equivalent width, the continuum at the line, and their ivars.
// In: flux, ivar [s, p] f32 (1e-17 erg/s/cm2/A and its inverse square); row numbers [r] u32, redshifts [r] f64;
//   lines [l, 7] f64 (wavelength; lo and hi of window, blue, red; rest-frame A), whether blended [l] u8; the grid.
// Out: flux, EW, continuum and their ivars, good fraction [r, l] f32, flag u8; every one is written.
// Launch: a warp per row and line, walking on; the warps of a block share rows.
// Limits: any shape; a good pixel beside a gap walks over all of it.
// Deterministic because: a sum's 32 parts are lanes (pixel - first pixel of the band) mod 32, added by halving; a
//   pixel's weight gathers its gaps in order of pixels, as sums over shared pixels go.
// Bound by: per line of 3 bands of 30 pixels, 0.7 kB read and about 450 f64 instructions of a warp (14 kflop): f64 on
//   an RTX A4000 (10 million lines a second), latency of short loops on an H200.
// Twin: cpu.rs. Source: Bolton et al. 2012 AJ 144 144; Cardiel et al. 1998 A&AS 127 597.
#include "band.cuh"

// One line as it is stored.
struct Line {
    float flux;
    float flux_ivar;
    float ew;
    float ew_ivar;
    float continuum;
    float continuum_ivar;
    float good_fraction;
    u8 flag;
};

// A straight line.
struct Linear {
    double a0;
    double a1;
};

// The local continuum: theta, M^-1 and the sum of phi^2 w (1, x)(1, x)^T (symmetric: 00, 01, 11).
struct Continuum {
    Linear theta;
    double inverse[3];
    double noise[3];
};

// A line's bands on the pixels of one spectrum.
struct Placed {
    Span window;
    Span blue;
    Span red;
    // Centre of the window: the origin of x, edge coordinate.
    double centre;
    // x of the line.
    double x_line;
};

// What flux and width are made of, in flux units x pixels.
struct WindowSums {
    // Sum of g (f - c).
    double flux;
    // C.
    double continuum;
    // var(F), cov(F, C), var(C).
    double covariance[3];
};

__device__ inline double at(const Linear &line, double x) { return line.a0 + line.a1 * x; }

// a^T M^-1.
__device__ inline Linear times_inverse(const double m[3], double a0, double a1)
{
    return {a0 * m[0] + a1 * m[1], a0 * m[1] + a1 * m[2]};
}

// Covariance of the sums of (a^T (1, x)) phi w f and of (b^T (1, x)) phi w f over the sidebands.
__device__ inline double covariance(const double n[3], const Linear &a, const Linear &b)
{
    return a.a0 * b.a0 * n[0] + (a.a0 * b.a1 + a.a1 * b.a0) * n[1] + a.a1 * b.a1 * n[2];
}

// Sum of phi, then of phi w (1, x, x^2), of phi w f (1, x), of phi^2 w (1, x, x^2).
__device__ inline void sideband_sums(const Row &row, const Span &span, double centre, double (&sums)[9])
{
    span_sums(row, span, sums, [&](u32, const Pixel &pixel, double (&term)[9]) {
        double weight = pixel.part * pixel.ivar, x = pixel.x - centre;
        double weight_x = weight * x, noise = pixel.part * weight;
        double noise_x = noise * x;
        term[0] = pixel.part;
        term[1] = weight;
        term[2] = weight_x;
        term[3] = weight_x * x;
        term[4] = weight * pixel.flux;
        term[5] = weight_x * pixel.flux;
        term[6] = noise;
        term[7] = noise_x;
        term[8] = noise_x * x;
    });
}

// The weighted straight line through both sidebands; false where they do not determine one.
__device__ inline bool fit_continuum(const double blue[9], const double red[9], Continuum &fit)
{
    double w = blue[1] + red[1], wx = blue[2] + red[2], wxx = blue[3] + red[3];
    double wf = blue[4] + red[4], wfx = blue[5] + red[5];
    double determinant = w * wxx - wx * wx;
    if (!(determinant > 0.0))
        return false;
    fit = {{0.0, 0.0}, {wxx / determinant, -wx / determinant, w / determinant},
           {blue[6] + red[6], blue[7] + red[7], blue[8] + red[8]}};
    fit.theta = times_inverse(fit.inverse, wf, wfx);
    return true;
}

// g of a good pixel: its own fraction, then its shares of the missing pixels before it and of those after it, each
// in order. The outermost good pixels of the window take the whole of what lies beyond them.
__device__ inline double weigh(const Row &row, const Span &window, bool any_missing, u32 p)
{
    double g = fraction(window, p);
    if (!any_missing)
        return g;
    u32 first = p, end = p + 1;
    while (first > window.first && !is_good(row, first - 1))
        --first;
    while (end < window.end && !is_good(row, end))
        ++end;
    for (u32 gap = first; gap < p; ++gap) {
        u32 left = first - 1;
        double share = first > window.first ? (double)(gap - left) / (double)(p - left) : 1.0;
        g = g + share * fraction(window, gap);
    }
    for (u32 gap = p + 1; gap < end; ++gap) {
        double share = end < window.end ? (double)(gap - p) / (double)(end - p) : 0.0;
        g = g + (1.0 - share) * fraction(window, gap);
    }
    return g;
}

// s(a): the sum of g (a^T (1, x)) phi over the pixels that window and sidebands share.
__device__ inline double shared_with(const Row &row, const Placed &placed, bool any_missing, const Linear &a)
{
    auto shared = [&](const Span &side) {
        return shared_sum(row, placed.window, side, [&](u32 p) {
            double ivar = (double)row.ivar_p[p];
            double x = (double)p + 0.5 - placed.centre;
            return weigh(row, placed.window, any_missing, p) * at(a, x) * fraction(side, p) * ivar;
        });
    };
    return shared(placed.blue) + shared(placed.red);
}

// The sums over the window, and their covariance over window and sidebands.
__device__ inline WindowSums window_sums(const Row &row, const Placed &placed, const Continuum &fit, bool any_missing)
{
    double sums[4];
    span_sums(row, placed.window, sums, [&](u32 p, const Pixel &pixel, double (&term)[4]) {
        double x = pixel.x - placed.centre;
        double g = pixel.part > 0.0 ? weigh(row, placed.window, any_missing, p) : 0.0;
        term[0] = g * (pixel.flux - at(fit.theta, x));
        term[1] = g;
        term[2] = g * x;
        term[3] = g * g * pixel.variance;
    });
    // F = sum of g f - sum of u phi w f and C = sum of v phi w f with u, v linear in x.
    Linear u = times_inverse(fit.inverse, sums[1], sums[2]);
    Linear v = times_inverse(fit.inverse, 1.0, placed.x_line);
    double with_u = shared_with(row, placed, any_missing, u), with_v = shared_with(row, placed, any_missing, v);
    return {sums[0], at(fit.theta, placed.x_line),
            {sums[3] - 2.0 * with_u + covariance(fit.noise, u, u), with_v - covariance(fit.noise, u, v),
             covariance(fit.noise, v, v)}};
}

__device__ inline Line missing(u8 flag) { return {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, flag}; }

// Flux, equivalent width and continuum as stored.
__device__ inline Line finish(const WindowSums &sums, double step_aa, double one_plus_z)
{
    double var_f = sums.covariance[0], cov_fc = sums.covariance[1], var_c = sums.covariance[2];
    Stored flux = stored(sums.flux * step_aa, var_f * step_aa * step_aa);
    Stored continuum = stored(sums.continuum, var_c);
    if (!flux.sound || !continuum.sound)
        return missing(FLAG_DEGENERATE);
    Line line = {flux.value, flux.ivar, 0.0f, 0.0f, continuum.value, continuum.ivar, 0.0f, FLAG_CONTINUUM};
    if (sums.continuum <= 0.0)
        return line;
    double ratio = sums.flux / sums.continuum;
    double per_width = step_aa / one_plus_z;
    double variance = (var_f - 2.0 * ratio * cov_fc + ratio * ratio * var_c) * per_width * per_width
        / (sums.continuum * sums.continuum);
    Stored ew = stored(ratio * per_width, variance);
    line.ew = ew.sound ? ew.value : 0.0f;
    line.ew_ivar = ew.sound ? ew.ivar : 0.0f;
    line.flag = ew.sound ? 0 : FLAG_DEGENERATE;
    return line;
}

// One line of one spectrum.
__device__ inline Line measure(const Row &row, const Frame &frame, const double bands[7], bool blended)
{
    if (blended)
        return missing(FLAG_BLENDED);
    Span window = span_of(frame, bands[1], bands[2]), blue = span_of(frame, bands[3], bands[4]);
    Span red = span_of(frame, bands[5], bands[6]);
    if (!is_on(window, frame) || !is_on(blue, frame) || !is_on(red, frame))
        return missing(FLAG_OUT_OF_RANGE);
    double centre = 0.5 * (window.lo + window.hi);
    Placed placed = {window, blue, red, centre, edge_coordinate(frame, bands[0]) - centre};

    double covered[2], from_blue[9], from_red[9];
    span_sums(row, window, covered, [](u32, const Pixel &pixel, double (&term)[2]) {
        term[0] = pixel.part;
        term[1] = pixel.missing;
    });
    double good = covered[0] / width(window);
    bool any_missing = covered[1] > 0.0;
    sideband_sums(row, blue, centre, from_blue);
    sideband_sums(row, red, centre, from_red);
    double sidebands = smaller(from_blue[0] / width(blue), from_red[0] / width(red));
    Continuum fit;
    Line line = missing(FLAG_DEGENERATE);
    if (good < LINE_MIN_GOOD_WINDOW || sidebands < LINE_MIN_GOOD_SIDEBAND) {
        line.flag = FLAG_COVERAGE;
    } else if (fit_continuum(from_blue, from_red, fit)) {
        line = finish(window_sums(row, placed, fit, any_missing), frame.step_aa, 1.0 + frame.z);
        line.flag |= any_missing ? FLAG_PARTIAL : 0;
    }
    line.good_fraction = (float)good;
    return line;
}

extern "C" __global__ void lines_f32(
    const float *flux_sp, const float *ivar_sp, double first_aa, double step_aa, u32 n_pixels,
    const u32 *row_r, const double *z_r, u32 n_rows, const double *bands_l, const u8 *blended_l, u32 n_lines,
    float *out_flux, float *out_flux_ivar, float *out_ew, float *out_ew_ivar, float *out_continuum,
    float *out_continuum_ivar, float *out_good, u8 *out_flag)
{
    u64 n = (u64)n_rows * n_lines;
    for (u64 item = warp_number(); item < n; item += warp_count()) {
        u32 r = (u32)(item / n_lines), l = (u32)(item % n_lines);
        Row row = row_of(flux_sp, ivar_sp, n_pixels, row_r[r]);
        Frame frame = {first_aa, step_aa, n_pixels, z_r[r]};
        Line line = measure(row, frame, bands_l + 7 * (u64)l, blended_l[l] != 0);
        if (lane_number() != 0)
            continue;
        out_flux[item] = line.flux;
        out_flux_ivar[item] = line.flux_ivar;
        out_ew[item] = line.ew;
        out_ew_ivar[item] = line.ew_ivar;
        out_continuum[item] = line.continuum;
        out_continuum_ivar[item] = line.continuum_ivar;
        out_good[item] = line.good_fraction;
        out_flag[item] = line.flag;
    }
}
