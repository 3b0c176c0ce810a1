// The two sides of many weighted normal equations at once: left_ij = sum of w (d_i d_j), right_i = sum of
// (w x) d_i over terms, each one f32 fma chain over SUM_CHUNK terms, these chains added in f64.
// Twin: weighted_sums.rs.
//
// A block makes up to MOST_GROUPS groups of sums of a tile of rows, a thread four rows of a group. The
// products d_i d_j are made anew for every tile: 1 multiplication per 64 fmas, where a table of all of them
// would have to be read once per tile, and grows to 66 MB for 64 components of 7781 pixels.
#pragma once

// Terms in shared memory at a time, a part of SUM_CHUNK.
constexpr u32 SUM_TERMS = 16;
constexpr u32 ROW_GROUPS = TILE_ROWS / 4;

// What is summed: value and weight of (row, term), and the design of (term, component), each by its strides.
struct Terms {
    const float *values, *weights, *design;
    u64 n_rows, n_terms;
    u64 row_stride, term_stride;
    u64 design_term_stride, design_component_stride;
    u32 k;
};

// The two factors of a sum: components i and j on the left, i alone on the right.
struct Factor {
    u32 i, j;
    bool is_right;
    // Whether the place stands for any sum, and where that is put.
    bool is_sum;
    u64 sum;
};

// What place c of a group stands for; left sides fill whole groups of their own.
__device__ inline Factor factor_of(u32 k, u32 group, u32 c)
{
    u32 pairs = n_pairs(k), left_groups = (pairs + GROUP_SUMS - 1) / GROUP_SUMS;
    if (group >= left_groups) {
        u32 i = GROUP_SUMS * (group - left_groups) + c;
        return {i < k ? i : 0, 0, true, i < k, (u64)pairs + i};
    }
    u32 pair = GROUP_SUMS * group + c, i = 0;
    if (pair >= pairs)
        return {0, 0, false, false, 0};
    while (n_pairs(i + 1) <= pair)
        i += 1;
    return {i, pair - (u32)n_pairs(i), false, true, pair};
}

// Fills w and w x: zero where a pixel is missing or w x leaves f32, and behind the last row and term.
template <bool BY_ROW>
__device__ inline void set_terms(const Terms &terms, u64 first_row, u64 first_term, Tile<SUM_TERMS> tiles[2])
{
    for (u32 i = threadIdx.x; i < TILE_ROWS * SUM_TERMS; i += blockDim.x) {
        u32 r = BY_ROW ? row_by_row(i) : row_by_term(i), t = BY_ROW ? term_by_row(i) : term_by_term(i);
        u64 row = first_row + r, term = first_term + t;
        float value = 0.0f, weight = 0.0f;
        if (row < terms.n_rows && term < terms.n_terms) {
            u64 at = row * terms.row_stride + term * terms.term_stride;
            value = terms.values[at];
            weight = terms.weights[at];
        }
        float product = weight * value;
        bool counts = is_good(value, weight) && fabsf(product) <= F32_MAX;
        set(tiles[0], t, r, keep_if(counts, weight));
        set(tiles[1], t, r, keep_if(counts, product));
    }
}

// Fills d_tk, zeros behind the last term.
template <bool BY_ROW>
__device__ inline void set_design(const Terms &terms, u64 first_term, float design[][MAX_COMPONENTS + 1])
{
    for (u32 i = threadIdx.x; i < SUM_TERMS * terms.k; i += blockDim.x) {
        u32 t = BY_ROW ? i % SUM_TERMS : i / terms.k, j = BY_ROW ? i / SUM_TERMS : i % terms.k;
        u64 term = first_term + t;
        design[t][j] = term < terms.n_terms
                           ? terms.design[term * terms.design_term_stride + j * terms.design_component_stride]
                           : 0.0f;
    }
}

// Adds a step of terms to the chains of four rows by one group.
__device__ inline void add_products(const Tile<SUM_TERMS> &tile, u32 row_group,
                                    const float4 factors[][MOST_GROUPS], u32 group, float chains[4][GROUP_SUMS])
{
    for (u32 t = 0; t < SUM_TERMS; ++t) {
        float4 a = tile.quads[t][row_group], b = factors[t][group];
        float term[4] = {a.x, a.y, a.z, a.w}, factor[GROUP_SUMS] = {b.x, b.y, b.z, b.w};
        for (u32 r = 0; r < 4; ++r)
            for (u32 c = 0; c < GROUP_SUMS; ++c)
                chains[r][c] = __fmaf_rn(term[r], factor[c], chains[r][c]);
    }
}

// Groups that all sums of k components fill.
__device__ inline u32 groups_of(u32 k)
{
    return (u32)(n_pairs(k) + GROUP_SUMS - 1) / GROUP_SUMS + (k + GROUP_SUMS - 1) / GROUP_SUMS;
}

// The sums of a tile of rows and `n_groups` groups from `first_group` on, into [sum, row]; by ROW_GROUPS threads
// per group. `n_good`, where it is given: terms of each row that count and have a design other than 0.
template <bool BY_ROW>
__device__ inline void make_sums(const Terms &terms, u64 first_row, u32 first_group, u32 n_groups, double *sums,
                                 u32 *n_good)
{
    __shared__ Tile<SUM_TERMS> tiles[2];
    __shared__ float4 factors[SUM_TERMS][MOST_GROUPS];
    __shared__ float design[SUM_TERMS][MAX_COMPONENTS + 1];
    __shared__ bool is_used[SUM_TERMS];
    u32 row_group = threadIdx.x % ROW_GROUPS, group = threadIdx.x / ROW_GROUPS;
    u32 place = threadIdx.x % (GROUP_SUMS * n_groups);
    Factor own = factor_of(terms.k, first_group + place / GROUP_SUMS, place % GROUP_SUMS);
    const Tile<SUM_TERMS> &tile = tiles[factor_of(terms.k, first_group + group, 0).is_right];
    bool is_needed = first_group + group < groups_of(terms.k) && first_row + 4 * row_group < terms.n_rows;
    u32 counted = 0;
    double sum[4][GROUP_SUMS] = {};
    float chains[4][GROUP_SUMS] = {};
    for (u64 start = 0; start < terms.n_terms; start += SUM_TERMS) {
        __syncthreads();
        set_terms<BY_ROW>(terms, first_row, start, tiles);
        set_design<BY_ROW>(terms, start, design);
        __syncthreads();
        for (u32 t = threadIdx.x / (GROUP_SUMS * n_groups); t < SUM_TERMS; t += ROW_GROUPS / GROUP_SUMS) {
            float product = own.is_right ? design[t][own.i] : design[t][own.i] * design[t][own.j];
            reinterpret_cast<float *>(factors[t])[place] = product;
        }
        if (n_good && threadIdx.x < SUM_TERMS) {
            bool any = false;
            for (u32 j = 0; j < terms.k; ++j)
                any = any || design[threadIdx.x][j] != 0.0f;
            is_used[threadIdx.x] = any;
        }
        __syncthreads();
        if (is_needed)
            add_products(tile, row_group, factors, group, chains);
        if (n_good && threadIdx.x < TILE_ROWS) {
            const float *weights = reinterpret_cast<const float *>(&tiles[0]) + threadIdx.x;
            for (u32 t = 0; t < SUM_TERMS; ++t)
                counted += is_used[t] && weights[t * 4 * TILE_QUADS] > 0.0f;
        }
        if ((start + SUM_TERMS) % SUM_CHUNK == 0 || start + SUM_TERMS >= terms.n_terms)
            for (u32 r = 0; r < 4; ++r)
                for (u32 c = 0; c < GROUP_SUMS; ++c) {
                    sum[r][c] += (double)chains[r][c];
                    chains[r][c] = 0.0f;
                }
    }
    for (u32 c = 0; c < GROUP_SUMS; ++c) {
        Factor out = factor_of(terms.k, first_group + group, c);
        for (u32 r = 0; r < 4; ++r) {
            u64 row = first_row + 4 * row_group + r;
            if (out.is_sum && row < terms.n_rows)
                sums[out.sum * terms.n_rows + row] = sum[r][c];
        }
    }
    if (n_good && threadIdx.x < TILE_ROWS && first_row + threadIdx.x < terms.n_rows)
        n_good[first_row + threadIdx.x] = counted;
}

// All sums of `terms` by a grid of blocks of n_groups * ROW_GROUPS threads; the groups of a tile lie beside each
// other, so that what one block reads of the rows is in the cache for the next.
template <bool BY_ROW>
__device__ inline void make_all_sums(const Terms &terms, u32 n_groups, double *sums, u32 *n_good)
{
    u32 parts = (groups_of(terms.k) + n_groups - 1) / n_groups;
    u64 n_tiles = (terms.n_rows + TILE_ROWS - 1) / TILE_ROWS;
    for (u64 i = blockIdx.x; i < n_tiles * parts; i += gridDim.x) {
        u32 part = i % parts;
        u32 *counts = part == 0 ? n_good : nullptr;
        make_sums<BY_ROW>(terms, i / parts * TILE_ROWS, part * n_groups, n_groups, sums, counts);
    }
}
