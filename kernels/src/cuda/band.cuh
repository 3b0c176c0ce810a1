// Rest-frame bands, where they fall on the observed pixels, and sums over their pixels. Sums are a whole warp's, all
// lanes with the same arguments, and known to every lane; grids have at most 2^32 - 32 pixels. Twin: band.rs.
#pragma once
#include "device.cuh"

// A band on the observed pixels, in edge coordinates: pixel p reaches from p to p + 1.
struct Span {
    double lo;
    double hi;
    // First pixel touched, and one past the last.
    u32 first;
    u32 end;
};

// Where rest-frame wavelengths fall: the observed grid and a redshift.
struct Frame {
    double first_aa;
    double step_aa;
    u32 n_pixels;
    double z;
};

// One spectrum on the observed grid.
struct Row {
    const float *flux_p;
    const float *ivar_p;
    u32 n_pixels;
};

// What a pixel brings to a sum over a span; a missing one brings zeros.
struct Pixel {
    // Centre, edge coordinate (never 0 for want of data).
    double x;
    // Fraction inside the span.
    double part;
    double flux;
    double ivar;
    double variance;
    // 1 where the span touches the pixel and it is missing, else 0.
    double missing;
};

// A value and its ivar as they are stored; sound where finite with positive ivar.
struct Stored {
    float value;
    float ivar;
    bool sound;
};

// The smaller and the larger of two numbers, the second of which is never NaN.
__device__ inline double smaller(double x, double y) { return x < y ? x : y; }
__device__ inline double larger(double x, double y) { return x > y ? x : y; }

__device__ inline Row row_of(const float *flux_sp, const float *ivar_sp, u32 n_pixels, u64 s)
{
    return {flux_sp + s * n_pixels, ivar_sp + s * n_pixels, n_pixels};
}

__device__ inline bool is_good(const Row &row, u32 p) { return is_good(row.flux_p[p], row.ivar_p[p]); }

// The integer part of a coordinate, clamped to 0..=n.
__device__ inline u32 clamp_to_pixel(double x, u32 n_pixels)
{
    if (x >= (double)n_pixels)
        return n_pixels;
    return x > 0.0 ? (u32)x : 0;
}

// Position of a rest-frame wavelength in edge coordinates.
__device__ inline double edge_coordinate(const Frame &frame, double wave_aa)
{
    return (wave_aa * (1.0 + frame.z) - frame.first_aa) / frame.step_aa + 0.5;
}

__device__ inline Span span_of(const Frame &frame, double lo_aa, double hi_aa)
{
    double lo = edge_coordinate(frame, lo_aa), hi = edge_coordinate(frame, hi_aa);
    return {lo, hi, clamp_to_pixel(lo, frame.n_pixels), clamp_to_pixel(ceil(hi), frame.n_pixels)};
}

// The pixels from `first` to before `end`, whole.
__device__ inline Span span_of_pixels(u32 first, u32 end) { return {(double)first, (double)end, first, end}; }

// Whether the whole band lies on the grid.
__device__ inline bool is_on(const Span &span, const Frame &frame)
{
    return span.lo >= 0.0 && span.hi <= (double)frame.n_pixels && span.lo < span.hi;
}

__device__ inline double width(const Span &span) { return span.hi - span.lo; }

// The fraction of pixel p inside the band, 0 to 1.
__device__ inline double fraction(const Span &span, u32 p)
{
    double left = (double)p;
    double overlap = smaller(span.hi, left + 1.0) - larger(span.lo, left);
    return overlap > 0.0 ? overlap : 0.0;
}

// Pixel p; beyond the span it is as a missing one.
__device__ inline Pixel pixel_of(const Row &row, const Span &span, u32 p)
{
    float flux = p < row.n_pixels ? row.flux_p[p] : 0.0f, weight = p < row.n_pixels ? row.ivar_p[p] : 0.0f;
    double left = (double)p;
    double overlap = smaller(span.hi, left + 1.0) - larger(span.lo, left);
    bool touched = overlap > 0.0;
    bool good = touched && is_good(flux, weight);
    double ivar = good ? (double)weight : 1.0;
    Pixel pixel = {left + 0.5, 0.0, 0.0, 0.0, 0.0, touched && !good ? 1.0 : 0.0};
    pixel.part = good ? overlap : 0.0;
    pixel.flux = good ? (double)flux : 0.0;
    pixel.ivar = good ? ivar : 0.0;
    pixel.variance = good ? 1.0 / ivar : 0.0;
    return pixel;
}

// K sums of a warp's lanes, each by halving as in the plain sum_lanes. Where a half of the lanes would add what
// the other half adds too, each half goes on with another sum instead: K + 5 additions or fewer, not 5 K. A sum
// a + b of one half is b + a in the other, which has the same bits.
template <u32 K>
__device__ inline void sum_lanes(double (&sums)[K])
{
    static_assert(K <= LANES, "a lane ends with one sum");
    u32 n = K;
#pragma unroll
    for (u32 half = LANES / 2; half > 0; half /= 2) {
        bool upper = (lane_number() & half) != 0;
        u32 kept = (n + 1) / 2;
#pragma unroll
        for (u32 k = 0; k < kept; ++k) {
            bool paired = k + kept < n;
            double lower_sum = sums[k], upper_sum = paired ? sums[k + kept] : sums[k];
            double given = __shfl_xor_sync(FULL_WARP, upper ? lower_sum : upper_sum, half);
            sums[k] = (upper ? upper_sum : lower_sum) + given;
        }
        n = kept;
    }
    double own = sums[0];
#pragma unroll
    for (u32 k = 0; k < K; ++k) {
        // The lane where sum k has ended: in the upper half each time it was in the upper part of the list.
        u32 lane = 0, place = k;
        n = K;
#pragma unroll
        for (u32 half = LANES / 2; half > 0; half /= 2) {
            u32 kept = (n + 1) / 2;
            if (place >= kept) {
                place -= kept;
                lane += half;
            }
            n = kept;
        }
        sums[k] = __shfl_sync(FULL_WARP, own, lane);
    }
}

// K sums over a span's pixels in f64: lane (pixel - first) mod 32, then the halving tree.
// `terms(p, pixel, term)` gives pixel p's K terms, all 0 for a missing pixel.
template <u32 K, class Terms>
__device__ inline void span_sums(const Row &row, const Span &span, double (&sums)[K], Terms terms)
{
    for (u32 k = 0; k < K; ++k)
        sums[k] = 0.0;
    for (u32 start = span.first; start < span.end; start += LANES) {
        u32 p = start + lane_number();
        double term[K];
        terms(p, pixel_of(row, span, p), term);
        for (u32 k = 0; k < K; ++k)
            sums[k] = sums[k] + term[k];
    }
    sum_lanes(sums);
}

// The sum of term(p) * variance over the good ones of the pixels that two spans share, in order. The lanes make
// 32 terms at a time; -0 leaves every sum as it is.
template <class Term>
__device__ inline double shared_sum(const Row &row, const Span &a, const Span &b, Term term)
{
    u32 first = a.first > b.first ? a.first : b.first, end = a.end < b.end ? a.end : b.end;
    double sum = -0.0;
    for (u32 start = first; start < end; start += LANES) {
        u32 p = start + lane_number(), n = end - start < LANES ? end - start : LANES;
        double own = p < end && is_good(row, p) ? term(p) / (double)row.ivar_p[p] : -0.0;
        for (u32 l = 0; l < n; ++l)
            sum = sum + __shfl_sync(FULL_WARP, own, l);
    }
    return sum;
}

__device__ inline Stored stored(double value, double variance)
{
    float rounded = (float)value, ivar = (float)(1.0 / variance);
    return {rounded, ivar, fabsf(rounded) <= F32_MAX && fabsf(ivar) <= F32_MAX && ivar > 0.0f};
}
