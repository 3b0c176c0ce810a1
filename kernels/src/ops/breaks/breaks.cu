// What: breaks such as D4000: mean f_nu redwards / mean f_nu bluewards, f_nu = f lambda^2; both the plain means over
//   fractions of pixels and the ivar-weighted means by Simpson sums over good pixels; and their ivars.
// In: flux, ivar [s, p] f32 (1e-17 erg/s/cm2/A and its inverse square); row numbers [r] u32, redshifts [r] f64;
//   bands [i, 4] f64 (lo and hi of blue and red, rest-frame A); the grid.
// Out: plain, plain ivar, weighted, weighted ivar [r, i] f32, a flag each u8; every one is written.
// Launch: a warp per row and break, walking on, in blocks of THREADS; the warps of a block share rows.
// Limits: any shape: points pass through a ring of pixel numbers per warp, 4 kB of shared memory in all.
// Deterministic because: a sum's 32 parts are lanes (pixel - first pixel of the band) or (number of the point) mod 32,
//   added by halving; points are numbered by counting good pixels.
// Bound by: per break of 2 bands of 200 pixels, 4 kB read and about 2500 f64 instructions of a warp (80 kflop): f64 on
//   an RTX A4000 (2 million breaks a second), latency of short loops on an H200.
// Twin: cpu.rs. Source: Bruzual 1983 ApJ 273 105 eq. 11; Balogh et al. 1999 ApJ 527 54; Cartwright 2017.
#include "band.cuh"
#include "simpson.cuh"

#define NO_PIXEL 0xffffffffu

// One ratio as it is stored.
struct Ratio {
    float value;
    float ivar;
    u8 flag;
};

// A mean f_nu and its variance, in arbitrary but common units.
struct Mean {
    double value;
    double variance;
    bool known;
};

// A band; its padded pixels, the number of good ones, the nearest of these on either side, and those inside.
struct Side {
    Span span;
    u32 first, end;
    u32 n_good;
    u32 before, after;
    u32 n_inside, first_inside, last_inside;
};

// First and one-past-last pixel whose centre lies strictly inside the padded band; false where the grid does not
// reach beyond it on both sides.
__device__ inline bool padded_pixels(const Frame &frame, double lo_aa, double hi_aa, Side &side)
{
    Span padded = span_of(frame, lo_aa - BREAK_PAD_AA, hi_aa + BREAK_PAD_AA);
    side.span = span_of(frame, lo_aa, hi_aa);
    side.first = clamp_to_pixel(floor(padded.lo + 0.5), frame.n_pixels);
    side.end = clamp_to_pixel(ceil(padded.hi - 0.5), frame.n_pixels);
    return padded.lo >= 0.5 && padded.hi <= (double)frame.n_pixels - 0.5;
}

// Finds the good ones of the padded pixels; false where they are fewer than BREAK_MIN_GOOD.
__device__ inline bool find_good(const Row &row, Side &side)
{
    side.n_good = side.n_inside = 0;
    side.before = side.after = side.first_inside = side.last_inside = NO_PIXEL;
    for (u32 start = side.first; start < side.end; start += LANES) {
        u32 p = start + lane_number();
        double x = (double)p + 0.5;
        bool good = p < side.end && is_good(row, p);
        bool is_before = x <= side.span.lo + BREAK_END_TOLERANCE;
        bool is_inside = !is_before && x < side.span.hi - BREAK_END_TOLERANCE;
        u32 before = __ballot_sync(FULL_WARP, good && is_before);
        u32 inside = __ballot_sync(FULL_WARP, good && is_inside);
        u32 after = __ballot_sync(FULL_WARP, good && !is_before && !is_inside);
        side.n_good += __popc(before) + __popc(inside) + __popc(after);
        if (before != 0)
            side.before = start + 31 - __clz(before);
        if (inside != 0 && side.n_inside == 0)
            side.first_inside = start + __ffs(inside) - 1;
        if (inside != 0)
            side.last_inside = start + 31 - __clz(inside);
        if (after != 0 && side.after == NO_PIXEL)
            side.after = start + __ffs(after) - 1;
        side.n_inside += __popc(inside);
    }
    return side.n_good > 0 && !((double)side.n_good < BREAK_MIN_GOOD * (double)(side.end - side.first));
}

// lambda^2 at an edge coordinate: f_nu over f, up to a constant.
__device__ inline double wave2(const Frame &frame, double x)
{
    double wave_aa = frame.first_aa + (x - 0.5) * frame.step_aa;
    return wave_aa * wave_aa;
}

// Unweighted mean f_nu over the good pixels.
__device__ inline Mean plain_mean(const Row &row, const Frame &frame, const Span &span)
{
    double sums[3];
    span_sums(row, span, sums, [&](u32, const Pixel &pixel, double (&term)[3]) {
        double coefficient = pixel.part * wave2(frame, pixel.x);
        term[0] = coefficient * pixel.flux;
        term[1] = pixel.part;
        term[2] = coefficient * coefficient * pixel.variance;
    });
    double total = sums[0], norm = sums[1], variance = sums[2];
    return {total / norm, variance / (norm * norm), norm > 0.0};
}

__device__ inline Point point_of(const Row &row, const Frame &frame, u32 p)
{
    double x = (double)p + 0.5;
    double fnu_per_flux = wave2(frame, x);
    return {x, (double)row.flux_p[p] * fnu_per_flux, (double)row.ivar_p[p] / (fnu_per_flux * fnu_per_flux)};
}

// A band's end between the pixel outside it, where there is a good one, and the one inside.
__device__ inline End interpolated(const Row &row, const Frame &frame, double x, u32 p_out, u32 p_in)
{
    Point in = point_of(row, frame, p_in);
    if (p_out == NO_PIXEL)
        return {{x, in.f, in.w}, 1.0, 0.0, 0.0, 0.0};
    Point out = point_of(row, frame, p_out);
    double share = (x - out.x) / (in.x - out.x);
    // A pixel on the end itself may lie inside by less than the tolerance.
    double inner = share > 0.0 ? share : 0.0;
    double outer = 1.0 - inner;
    return {{x, outer * out.f + inner * in.f, outer * out.w + inner * in.w}, inner, outer, out.w, 0.0};
}

// Adds points `from` to `from + 31`, one per lane: to the sums of weight f and of weight, and to the pixels' variance.
__device__ inline void add_points(const Row &row, const Frame &frame, Points &points, u32 from, double (&sums)[3])
{
    if (from == 0)
        points.lo.weight = simpson(points, 0) * points.lo.point.w;
    u32 i = from + lane_number();
    if (i >= points.n)
        return;
    bool is_lo = i == 0, is_hi = i == points.n - 1;
    Point point = is_lo ? points.lo.point : is_hi ? points.hi.point : point_of(row, frame, points.ring[i % RING]);
    double weight = simpson(points, i) * point.w;
    sums[0] = sums[0] + weight * point.f;
    sums[1] = sums[1] + weight;
    // Coefficients of the pixels themselves: an end's share goes to the two it interpolates.
    double from_lo = i == 1 ? points.lo.weight * points.lo.inner : 0.0;
    double from_hi = i == points.n - 2 ? points.hi.weight * points.hi.inner : 0.0;
    double coefficient = weight + from_lo + from_hi;
    sums[2] = is_lo || is_hi ? sums[2] : sums[2] + coefficient * coefficient / point.w;
}

__device__ inline double outer_variance(const End &end)
{
    double coefficient = end.weight * end.outer;
    return end.outer_w > 0.0 ? coefficient * coefficient / end.outer_w : 0.0;
}

// ivar-weighted mean f_nu by Simpson sums; unknown where no pixel lies between the ends.
__device__ inline Mean weighted_mean(const Row &row, const Frame &frame, const Side &side, u32 *ring)
{
    if (side.n_inside == 0)
        return {0.0, 0.0, false};
    Points points = {ring, side.n_inside + 2,
                     interpolated(row, frame, side.span.lo, side.before, side.first_inside),
                     interpolated(row, frame, side.span.hi, side.after, side.last_inside)};
    double sums[3] = {0.0, 0.0, 0.0};
    // Points that are in the ring, the blue end first, and points that have been added.
    u32 known = 1, added = 0;
    for (u32 start = side.first_inside; start <= side.last_inside; start += LANES) {
        u32 p = start + lane_number();
        bool good = p <= side.last_inside && is_good(row, p);
        u32 bits = __ballot_sync(FULL_WARP, good);
        // The places of points that all lanes have done with.
        __syncwarp();
        if (good)
            ring[(known + __popc(bits & ((1u << lane_number()) - 1))) % RING] = p;
        known += __popc(bits);
        __syncwarp();
        // A point's coefficient needs the two beyond it.
        if (known >= added + LANES + 2) {
            add_points(row, frame, points, added, sums);
            added += LANES;
        }
    }
    points.hi.weight = simpson(points, points.n - 1) * points.hi.point.w;
    for (; added < points.n; added += LANES)
        add_points(row, frame, points, added, sums);
    // The variance counts from the point after the blue end, one lane lower: lanes that move on in a circle meet the
    // same partners in every halving.
    sum_lanes(sums);
    double total = sums[0], norm = sums[1], inner = sums[2];
    double variance = inner + outer_variance(points.lo) + outer_variance(points.hi);
    return {total / norm, variance / (norm * norm), norm > 0.0};
}

// red / blue with its propagated error.
__device__ inline Ratio ratio(const Mean &blue, const Mean &red)
{
    if (!blue.known || !red.known)
        return {0.0f, 0.0f, FLAG_DEGENERATE};
    if (blue.value <= 0.0)
        return {0.0f, 0.0f, FLAG_CONTINUUM};
    double value = red.value / blue.value;
    double variance = (red.variance + value * value * blue.variance) / (blue.value * blue.value);
    Stored out = stored(value, variance);
    if (!out.sound)
        return {0.0f, 0.0f, FLAG_DEGENERATE};
    return {out.value, out.ivar, 0};
}

extern "C" __global__ void breaks_f32(
    const float *flux_sp, const float *ivar_sp, double first_aa, double step_aa, u32 n_pixels,
    const u32 *row_r, const double *z_r, u32 n_rows, const double *bands_i, u32 n_breaks,
    float *out_plain, float *out_plain_ivar, u8 *out_plain_flag,
    float *out_weighted, float *out_weighted_ivar, u8 *out_weighted_flag)
{
    __shared__ u32 rings[THREADS / LANES][RING];
    u32 *ring = rings[threadIdx.x / LANES];
    u64 n = (u64)n_rows * n_breaks;
    for (u64 item = warp_number(); item < n; item += warp_count()) {
        u32 r = (u32)(item / n_breaks);
        const double *ends = bands_i + 4 * (item % n_breaks);
        Row row = row_of(flux_sp, ivar_sp, n_pixels, row_r[r]);
        Frame frame = {first_aa, step_aa, n_pixels, z_r[r]};
        Side blue, red;
        Ratio plain = {0.0f, 0.0f, FLAG_OUT_OF_RANGE}, weighted = plain;
        bool blue_on = padded_pixels(frame, ends[0], ends[1], blue);
        if (blue_on && padded_pixels(frame, ends[2], ends[3], red)) {
            plain.flag = weighted.flag = FLAG_COVERAGE;
            if (find_good(row, blue) && find_good(row, red)) {
                plain = ratio(plain_mean(row, frame, blue.span), plain_mean(row, frame, red.span));
                Mean weighted_blue = weighted_mean(row, frame, blue, ring);
                weighted = ratio(weighted_blue, weighted_mean(row, frame, red, ring));
            }
        }
        if (lane_number() != 0)
            continue;
        out_plain[item] = plain.value;
        out_plain_ivar[item] = plain.ivar;
        out_plain_flag[item] = plain.flag;
        out_weighted[item] = weighted.value;
        out_weighted_ivar[item] = weighted.ivar;
        out_weighted_flag[item] = weighted.flag;
    }
}
