// What: rebins spectra onto rest-frame bins by exact means of piecewise linear f w and w (mod.rs): with A, B the
//   integrals of f w and w over a bin, flux = A / B (1 + z) and ivar = B / (1 + z)^2.
// In: flux, ivar [s, p] f32; edges of the bins [b + 1] f64, A; per row t its spectrum u32, [nodes per A, node at 0 A]
//   f64 and [flux factor, ivar factor] f32.
// Out: flux, ivar [t, b] f32; every bin is written, one outside the data as (0, 0).
// Launch: a block per row; a warp per 31 bins, a lane per edge, both walking on.
// Limits: fewer than 2^32 - 2 pixels, any number of bins.
// Deterministic because: a bin's pieces are added by one thread in ascending order.
// Bound by: f64 where it is slow: about ten such operations per edge and 40 flops per bin, 400 us per 1000 DESI spectra
//   of 6109 bins on an RTX A4000; on an H200 memory: 62 kB read and 49 kB written per spectrum, 23 us per 1000.
// Twin: cpu.rs. Source: desispec.interpolation.resample_flux.
#include "device.cuh"

// (w, f w) at a node, or integrated.
struct Pair {
    float w;
    float fw;
};

struct Row {
    const float *flux_p;
    const float *ivar_p;
    u32 n;
    double nodes_per_aa;
    double node_at_zero;
};

// An edge of a bin: at u, in cell i, h before node i + 1, t past node i.
struct Edge {
    double u;
    u32 cell;
    float h;
    float t;
};

// Node 0 and those from n + 1 on are zero; the pixels lie between.
__device__ inline Pair node(const Row &row, u32 i)
{
    if (i == 0 || i > row.n)
        return {0.0f, 0.0f};
    float flux = row.flux_p[i - 1], ivar = row.ivar_p[i - 1];
    bool good = is_good(flux, ivar);
    return {keep_if(good, ivar), keep_if(good, flux * ivar)};
}

// Position of an edge among the nodes, on the nearest end where it lies outside.
__device__ inline double node_of(const Row &row, double edge_aa)
{
    double at = __fma_rn(edge_aa, row.nodes_per_aa, row.node_at_zero), last_node = row.n + 1.0;
    at = at < 0.0 ? 0.0 : at;
    return at > last_node ? last_node : at;
}

__device__ inline Edge set_edge(const Row &row, double edge_aa)
{
    double at = node_of(row, edge_aa), cell = floor(at);
    return {at, (u32)cell, (float)(cell + 1.0 - at), (float)(at - cell)};
}

// Integrated over a width that ends at `near`.
__device__ inline Pair part(float width, Pair far, Pair near)
{
    return {width * __fmaf_rn(0.5f * width, far.w - near.w, near.w),
            width * __fmaf_rn(0.5f * width, far.fw - near.fw, near.fw)};
}

// Integrated between two edges of one cell; `upper_u`, `upper_t` are the second one's.
__device__ inline Pair inside_one_cell(const Edge &lower, double upper_u, float upper_t, Pair left, Pair right)
{
    float width = (float)(upper_u - lower.u);
    float middle = 0.5f * (lower.t + upper_t);
    return {width * __fmaf_rn(middle, right.w - left.w, left.w),
            width * __fmaf_rn(middle, right.fw - left.fw, left.fw)};
}

// From `sum` up to `lower_cell + 1`, over the whole cells before `upper_cell`, to the upper edge.
__device__ inline Pair across_cells(const Row &row, u32 lower_cell, u32 upper_cell, Pair next, Pair sum, Pair last)
{
    for (u32 i = lower_cell + 1; i < upper_cell; ++i) {
        Pair left = next;
        next = node(row, i + 1);
        sum.w = sum.w + 0.5f * (left.w + next.w);
        sum.fw = sum.fw + 0.5f * (left.fw + next.fw);
    }
    return {sum.w + last.w, sum.fw + last.fw};
}

// The integrals over the bin from this lane's edge to the next lane's; of no meaning in the last lane.
__device__ inline Pair sum_bin(const Row &row, double edge_aa)
{
    Edge edge = set_edge(row, edge_aa);
    Pair left = node(row, edge.cell), right = node(row, edge.cell + 1);
    Pair from_edge = part(edge.h, left, right), to_edge = part(edge.t, right, left);
    double upper_u = __shfl_down_sync(FULL_WARP, edge.u, 1);
    u32 upper_cell = __shfl_down_sync(FULL_WARP, edge.cell, 1);
    float upper_t = __shfl_down_sync(FULL_WARP, edge.t, 1);
    Pair to_upper = {__shfl_down_sync(FULL_WARP, to_edge.w, 1), __shfl_down_sync(FULL_WARP, to_edge.fw, 1)};
    if (edge.cell == upper_cell)
        return inside_one_cell(edge, upper_u, upper_t, left, right);
    return across_cells(row, edge.cell, upper_cell, right, from_edge, to_upper);
}

extern "C" __global__ void rest_frame_f32(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, u32 n_pixels,
    const double *__restrict__ edge_aa, u32 n_bins, const u32 *__restrict__ row_t,
    const double *__restrict__ shift_t, const float *__restrict__ factor_t, u32 n_rows,
    float *__restrict__ flux_tb, float *__restrict__ ivar_tb)
{
    const u32 bins_of_warp = LANES - 1, lane = lane_number();
    const u64 step = (u64)blockDim.x / LANES * bins_of_warp;
    for (u64 t = blockIdx.x; t < n_rows; t += gridDim.x) {
        u64 pixels = (u64)row_t[t] * n_pixels;
        Row row = {flux_sp + pixels, ivar_sp + pixels, n_pixels, shift_t[2 * t], shift_t[2 * t + 1]};
        float flux_factor = factor_t[2 * t], ivar_factor = factor_t[2 * t + 1];
        for (u64 first = threadIdx.x / LANES * bins_of_warp; first < n_bins; first += step) {
            u64 b = first + lane;
            Pair sum = sum_bin(row, edge_aa[b < n_bins ? b : n_bins]);
            if (lane == bins_of_warp || b >= n_bins)
                continue;
            float mean = sum.fw / sum.w * flux_factor, information = sum.w * ivar_factor;
            bool good = is_good(mean, information);
            flux_tb[t * n_bins + b] = keep_if(good, mean);
            ivar_tb[t * n_bins + b] = keep_if(good, information);
        }
    }
}
