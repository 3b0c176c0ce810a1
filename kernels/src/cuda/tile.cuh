// Terms of many rows in shared memory, as the threads of a block read them: four rows of a term at once.
// Twin: weighted_sums.rs (`Terms`).
#pragma once

// Four rows more than are filled: a warp that writes 8 terms of 4 rows then meets no bank of memory twice.
constexpr u32 TILE_QUADS = TILE_ROWS / 4 + 1;

// [term, row].
template <u32 TERMS>
struct Tile {
    float4 quads[TERMS][TILE_QUADS];
};

template <u32 TERMS>
__device__ inline void set(Tile<TERMS> &tile, u32 term, u32 row, float value)
{
    reinterpret_cast<float *>(&tile)[term * 4 * TILE_QUADS + row] = value;
}

// Place i of a tile that is filled from memory where a row's terms are neighbours: a warp takes 8 terms of 4
// rows, whole sectors of memory.
__device__ inline u32 term_by_row(u32 i) { return i / (8 * TILE_ROWS) * 8 + i % LANES / 4; }
__device__ inline u32 row_by_row(u32 i) { return i / LANES * 4 % TILE_ROWS + i % 4; }

// The same where a term's rows are neighbours.
__device__ inline u32 term_by_term(u32 i) { return i / TILE_ROWS; }
__device__ inline u32 row_by_term(u32 i) { return i % TILE_ROWS; }
