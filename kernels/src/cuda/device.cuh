// What every kernel may use: types, the order of sums, and which pixels count. Plain C++ but for CUDA's own
// words, so that the emulation compiles the same text for the CPU. Twins: lanes.rs, simd.rs.
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define FULL_WARP 0xffffffffu
#define F32_MAX 3.402823466e+38f
#define F64_MAX 1.7976931348623157e+308

// Threads of a launch, and this one's number; warps alike. Blocks are rows of whole warps.
__device__ inline u64 thread_number() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u64 thread_count() { return (u64)gridDim.x * blockDim.x; }
__device__ inline u64 warp_number() { return thread_number() / LANES; }
__device__ inline u64 warp_count() { return thread_count() / LANES; }
__device__ inline u32 lane_number() { return threadIdx.x % LANES; }

// The sum of a warp's lanes by halving, known to every lane: lanes 16 to 31 onto 0 to 15, then 8, 4, 2, 1.
__device__ inline u32 sum_lanes(u32 sum)
{
    for (u32 half = LANES / 2; half > 0; half /= 2)
        sum = sum + __shfl_down_sync(FULL_WARP, sum, half);
    return __shfl_sync(FULL_WARP, sum, 0);
}

__device__ inline double sum_lanes(double sum)
{
    for (u32 half = LANES / 2; half > 0; half /= 2)
        sum = sum + __shfl_down_sync(FULL_WARP, sum, half);
    return __shfl_sync(FULL_WARP, sum, 0);
}

// `value`, or +0 where it is not to be kept.
__device__ inline float keep_if(bool keep, float value) { return keep ? value : 0.0f; }

// Whether a pixel counts: flux and ivar finite, ivar positive.
__device__ inline bool is_good(float flux, float ivar)
{
    return fabsf(flux) <= F32_MAX && ivar > 0.0f && ivar <= F32_MAX;
}
