// What: the k rows of least (dist2, row) for each query, itself left out; dist2 = sum over d of (x - y)^2.
// In: vectors [n, d] f32, finite; queries are rows of them.
// Out: index [q, k] u32 (NO_ROW = none), dist2 [q, k] f32. Between the passes: per slice of rows and query two
//   lists of k keys and NEIGHBOR_BUFFER more, [slice, query, key] u64.
// Launch: search: 256 threads per tile of queries and slice of rows, 4 x 4 distances per thread. gather: a warp
//   per query. Both walk on.
// Limits: n < 2^32 - 1.
// Deterministic because: dist2 is one thread's chain over d, and the order by (dist2, row) has no ties, so that
//   neither the order in which rows are collected nor how they are sliced changes the nearest.
// Bound by: arithmetic: 3 d flops in 2 d instructions per pair (1000 pairs of 10 dimensions: A4000 2 ns, H200
//   0.6 ns); 4 d bytes per row for each 64 queries, from cache.
// Twin: cpu.rs. Source: exhaustive search.
#include "device.cuh"
#include "tile.cuh"

// Dimensions in shared memory at a time.
constexpr u32 DIMENSIONS = 32;
constexpr u32 WARPS = 8;
// A key is a distance's bits above a row's number: ascending keys are ascending (dist2, row).
constexpr u64 NO_KEY = ~0ull;

// What all blocks search.
struct Search {
    const float *vectors_nd;
    u32 n, d, k;
    u32 first_query, n_queries;
    u64 *lists;
};

// Where a query of a slice keeps its two lists and its buffer.
__device__ inline u64 *lists_of(const Search &search, u64 slice, u64 query)
{
    return search.lists + (slice * search.n_queries + query) * (2 * (u64)search.k + NEIGHBOR_BUFFER);
}

// How many of `n` ascending keys are below a key.
__device__ inline u32 count_below(const u64 *keys, u32 n, u64 key)
{
    u32 lo = 0, hi = n;
    while (lo < hi) {
        u32 mid = (lo + hi) / 2;
        if (keys[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// Sorts up to NEIGHBOR_BUFFER keys; by a whole warp.
__device__ inline void sort_keys(const u64 *keys, u32 n, u64 *sorted)
{
    u64 own[NEIGHBOR_BUFFER / LANES];
    u32 rank[NEIGHBOR_BUFFER / LANES] = {};
    for (u32 i = 0; i < NEIGHBOR_BUFFER / LANES; ++i)
        own[i] = i * LANES + lane_number() < n ? keys[i * LANES + lane_number()] : NO_KEY;
    for (u32 m = 0; m < n; ++m) {
        u64 other = keys[m];
        for (u32 i = 0; i < NEIGHBOR_BUFFER / LANES; ++i)
            rank[i] += other < own[i];
    }
    for (u32 i = 0; i < NEIGHBOR_BUFFER / LANES; ++i)
        if (own[i] != NO_KEY)
            sorted[rank[i]] = own[i];
    __syncwarp();
}

// The k least keys of an ascending list of k and another of n; by a whole warp. No key is in both but that of an
// empty place, and the empty places of the first list reach the end.
__device__ inline void merge(const u64 *from, u32 k, const u64 *others, u32 n, u64 *to)
{
    for (u32 i = lane_number(); i < k; i += LANES) {
        u32 rank = i + count_below(others, n, from[i]);
        if (rank < k)
            to[rank] = from[i];
    }
    for (u32 i = lane_number(); i < n; i += LANES) {
        u32 rank = i + count_below(from, k, others[i]);
        if (rank < k)
            to[rank] = others[i];
    }
    __syncwarp();
}

// Fills a tile with some dimensions of rows from `first` on, zeros behind row `end` and the last dimension.
__device__ inline void set_rows(Tile<DIMENSIONS> &tile, const Search &search, u64 first, u64 end,
                                u32 first_dimension)
{
    u32 left = search.d - first_dimension, dimensions = left < DIMENSIONS ? left : DIMENSIONS;
    for (u32 i = threadIdx.x; i < (dimensions + 7) / 8 * 8 * TILE_ROWS; i += blockDim.x) {
        u64 row = first + row_by_row(i);
        u32 t = term_by_row(i);
        bool is_there = row < end && t < dimensions;
        float value = is_there ? search.vectors_nd[row * search.d + first_dimension + t] : 0.0f;
        set(tile, t, row_by_row(i), value);
    }
}

__device__ inline void add_squares(const Tile<DIMENSIONS> &queries, u32 query_group, const Tile<DIMENSIONS> &rows,
                                   u32 row_group, u32 dimensions, float dist2[4][4])
{
    for (u32 t = 0; t < dimensions; ++t) {
        float4 a = queries.quads[t][query_group], b = rows.quads[t][row_group];
        float query[4] = {a.x, a.y, a.z, a.w}, row[4] = {b.x, b.y, b.z, b.w};
        for (u32 q = 0; q < 4; ++q)
            for (u32 r = 0; r < 4; ++r) {
                float difference = query[q] - row[r];
                dist2[q][r] = __fmaf_rn(difference, difference, dist2[q][r]);
            }
    }
}

// What a block knows of its queries.
struct Queries {
    // A row nearer than this belongs among the nearest; infinite while there is room.
    float bound[TILE_ROWS];
    // Rows in the buffer.
    u32 n[TILE_ROWS];
    // Which of the two lists is the newest.
    u32 side[TILE_ROWS];
};

// Sorts a query's buffer in among its nearest; by a whole warp.
__device__ inline void keep_nearest(Queries &queries, u32 q, u64 *lists, u32 k, u64 *sorted)
{
    u32 n = queries.n[q], side = queries.side[q];
    u64 *to = lists + (1 - side) * k;
    sort_keys(lists + 2 * (u64)k, n, sorted);
    merge(lists + side * k, k, sorted, n, to);
    if (lane_number() == 0) {
        queries.n[q] = 0;
        queries.side[q] = 1 - side;
        // An empty place is no number as a distance.
        if (to[k - 1] != NO_KEY)
            queries.bound[q] = __uint_as_float((u32)(to[k - 1] >> 32));
    }
    __syncwarp();
}

// Empties the lists of a tile of queries; by a whole block.
__device__ inline void clear(const Search &search, Queries &queries, u64 slice, u32 first, u32 n)
{
    for (u32 q = threadIdx.x; q < TILE_ROWS; q += blockDim.x) {
        // Nothing is nearer to a query that is not there.
        queries.bound[q] = q < n ? __uint_as_float(0x7f800000u) : -1.0f;
        queries.n[q] = 0;
        queries.side[q] = 0;
    }
    for (u32 q = threadIdx.x / LANES; q < n; q += WARPS)
        for (u32 i = lane_number(); i < search.k; i += LANES)
            lists_of(search, slice, first + q)[i] = NO_KEY;
}

// Collects the rows of a thread's distances that are near.
__device__ inline void collect(const Search &search, Queries &queries, u64 slice, u32 first, u64 first_row,
                               u64 end, const float dist2[4][4])
{
    u32 row_group = threadIdx.x % (TILE_ROWS / 4), query_group = threadIdx.x / (TILE_ROWS / 4);
    for (u32 i = 0; i < 4; ++i) {
        u32 q = 4 * query_group + i;
        float bound = queries.bound[q];
        for (u32 r = 0; r < 4; ++r) {
            u64 row = first_row + 4 * row_group + r;
            if (dist2[i][r] < bound && row < end && row != (u64)search.first_query + first + q) {
                u32 place = atomicAdd(&queries.n[q], 1u);
                u64 key = (u64)__float_as_uint(dist2[i][r]) << 32 | row;
                lists_of(search, slice, first + q)[2 * (u64)search.k + place] = key;
            }
        }
    }
}

// The nearest of rows `start` to `end` to a tile of queries, left in the first list of each.
__device__ inline void search_slice(const Search &search, u64 slice, u32 first, u64 start, u64 end)
{
    __shared__ Tile<DIMENSIONS> query_tile, row_tile;
    __shared__ Queries queries;
    __shared__ u64 sorted[WARPS][NEIGHBOR_BUFFER];
    u32 n = search.n_queries - first < TILE_ROWS ? search.n_queries - first : TILE_ROWS;
    u32 row_group = threadIdx.x % (TILE_ROWS / 4), query_group = threadIdx.x / (TILE_ROWS / 4);
    u32 warp = threadIdx.x / LANES;
    u64 first_query = (u64)search.first_query + first;
    __syncthreads();
    clear(search, queries, slice, first, n);
    for (u64 row = start; row < end; row += TILE_ROWS) {
        float dist2[4][4] = {};
        for (u32 t = 0; t < search.d; t += DIMENSIONS) {
            u32 dimensions = search.d - t < DIMENSIONS ? search.d - t : DIMENSIONS;
            __syncthreads();
            // Queries of few dimensions stay.
            if (row == start || search.d > DIMENSIONS)
                set_rows(query_tile, search, first_query, first_query + n, t);
            set_rows(row_tile, search, row, end, t);
            __syncthreads();
            if (4 * query_group < n)
                add_squares(query_tile, query_group, row_tile, row_group, dimensions, dist2);
        }
        collect(search, queries, slice, first, row, end, dist2);
        __syncthreads();
        bool is_last = row + TILE_ROWS >= end;
        for (u32 q = warp; q < n; q += WARPS) {
            u64 *lists = lists_of(search, slice, first + q);
            // Another tile may bring as many as it has rows.
            if (is_last || queries.n[q] > NEIGHBOR_BUFFER - TILE_ROWS)
                keep_nearest(queries, q, lists, search.k, sorted[warp]);
            for (u32 i = lane_number(); is_last && queries.side[q] == 1 && i < search.k; i += LANES)
                lists[i] = lists[search.k + i];
        }
    }
}

extern "C" __global__ void nearest_neighbors_f32_search(const float *vectors_nd, u32 n, u32 d, u32 first_query,
                                                        u32 n_queries, u32 k, u32 n_slices, u32 slice_rows,
                                                        u64 *lists)
{
    Search search = {vectors_nd, n, d, k, first_query, n_queries, lists};
    u64 n_tiles = (n_queries + TILE_ROWS - 1) / TILE_ROWS;
    // Blocks beside each other walk the same rows.
    for (u64 i = blockIdx.x; i < n_tiles * n_slices; i += gridDim.x) {
        u64 slice = i / n_tiles, start = slice * slice_rows;
        u64 end = start + slice_rows < n ? start + slice_rows : n;
        search_slice(search, slice, i % n_tiles * TILE_ROWS, start, end);
    }
}

extern "C" __global__ void nearest_neighbors_f32_gather(u32 n_queries, u32 k, u32 n_slices, u64 first_place,
                                                        u64 *lists, u32 *index_qk, float *dist2_qk)
{
    Search search = {nullptr, 0, 0, k, 0, n_queries, lists};
    for (u64 q = warp_number(); q < n_queries; q += warp_count()) {
        u64 *own = lists_of(search, 0, q);
        for (u32 slice = 1; slice < n_slices; ++slice)
            merge(own + (slice - 1) % 2 * k, k, lists_of(search, slice, q), k, own + slice % 2 * k);
        u64 *nearest = own + (n_slices - 1) % 2 * k;
        for (u32 i = lane_number(); i < k; i += LANES) {
            bool is_there = nearest[i] != NO_KEY;
            index_qk[first_place + q * k + i] = is_there ? (u32)nearest[i] : NO_ROW;
            dist2_qk[first_place + q * k + i] = is_there ? __uint_as_float((u32)(nearest[i] >> 32)) : 0.0f;
        }
    }
}
