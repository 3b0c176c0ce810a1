// Order statistics of a block's f64 values, by radix on integers that order as the values do. Twins: median in band.rs,
// to_key and median in ops/median_snr/cpu.rs.
//
// Values are given by a struct with `u64 key(u32 i) const`. All threads of the block take part in every call.
#pragma once

// Keys that shared memory keeps: DESI's arms share up to 2755 pixels with no other.
constexpr u32 KEPT_KEYS = 2816;
// What has no value is given the largest key, which is no number's.
constexpr u64 NO_KEY = ~0ull;
constexpr u32 DIGITS = 256;

// An unsigned integer that orders as Rust's f64::total_cmp does.
__device__ inline u64 to_key(double value)
{
    u64 bits = (u64)__double_as_longlong(value);
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

__device__ inline double from_key(u64 key)
{
    return __longlong_as_double((i64)(key >> 63 ? key & ~(1ull << 63) : ~key));
}

// The keys of n values: the first are kept, those beyond are made anew at every look.
template <class Values>
struct Keys {
    const Values &values;
    u64 *kept;
    u32 n;

    __device__ u64 at(u32 i) const { return i < KEPT_KEYS ? kept[i] : values.key(i); }

    // Makes the kept ones. Every thread looks at its own alone, so no barrier is needed.
    __device__ void keep() const
    {
        for (u32 i = threadIdx.x; i < n && i < KEPT_KEYS; i += blockDim.x)
            kept[i] = values.key(i);
    }
};

// The sum over the block's threads, known to all of them.
__device__ inline u32 sum_block(u32 own)
{
    __shared__ u32 sum;
    if (threadIdx.x == 0)
        sum = 0;
    __syncthreads();
    atomicAdd(&sum, own);
    __syncthreads();
    u32 all = sum;
    __syncthreads();
    return all;
}

// A digit, how many keys have a smaller one, and how many have it.
struct Digit {
    u32 digit;
    u32 smaller;
    u32 members;
};

// The digit of the key of a rank, by one warp.
__device__ inline void choose_digit(const u32 counts[DIGITS], u32 rank, Digit *chosen)
{
    u32 lane = lane_number(), digit = lane * (DIGITS / LANES), sum = 0;
    for (u32 d = 0; d < DIGITS / LANES; ++d)
        sum += counts[digit + d];
    u32 up_to = sum;
    for (u32 by = 1; by < LANES; by *= 2) {
        u32 before = __shfl_up_sync(FULL_WARP, up_to, by);
        up_to += lane >= by ? before : 0;
    }
    u32 smaller = up_to - sum;
    if (smaller <= rank && rank < up_to) {
        while (rank - smaller >= counts[digit])
            smaller += counts[digit++];
        *chosen = {digit, smaller, counts[digit]};
    }
}

// The key of a rank, 0 being the smallest's, and in `smaller` how many are smaller. What it shares is written again
// only after a barrier of the next call, so that it needs none at its end.
template <class Values>
__device__ u64 select_key(const Keys<Values> &keys, u32 rank, u32 &smaller)
{
    __shared__ u32 counts[DIGITS];
    __shared__ Digit chosen;
    __shared__ u64 found;
    u64 prefix = 0;
    u32 shift = 64;
    smaller = 0;
    // Digit by digit from the top, among the keys that share those before, until one key is left or no digit.
    do {
        shift -= 8;
        for (u32 d = threadIdx.x; d < DIGITS; d += blockDim.x)
            counts[d] = 0;
        __syncthreads();
        for (u32 i = threadIdx.x; i < keys.n; i += blockDim.x) {
            u64 key = keys.at(i);
            // Shifted twice, as there are shifts by 64.
            if ((key ^ prefix) >> shift >> 8 == 0)
                atomicAdd(&counts[key >> shift & (DIGITS - 1)], 1u);
        }
        __syncthreads();
        if (threadIdx.x < LANES)
            choose_digit(counts, rank - smaller, &chosen);
        __syncthreads();
        prefix |= (u64)chosen.digit << shift;
        smaller += chosen.smaller;
    } while (shift > 0 && chosen.members > 1);
    if (shift == 0)
        return prefix;
    for (u32 i = threadIdx.x; i < keys.n; i += blockDim.x) {
        u64 key = keys.at(i);
        if ((key ^ prefix) >> shift == 0)
            found = key;
    }
    __syncthreads();
    return found;
}

// The largest of the keys below a bound; 0 where there is none.
template <class Values>
__device__ u64 largest_below(const Keys<Values> &keys, u64 bound)
{
    __shared__ u64 of_warp[LANES];
    u64 largest = 0;
    for (u32 i = threadIdx.x; i < keys.n; i += blockDim.x) {
        u64 key = keys.at(i);
        largest = key < bound && key > largest ? key : largest;
    }
    for (u32 half = LANES / 2; half > 0; half /= 2) {
        u64 other = __shfl_xor_sync(FULL_WARP, largest, half);
        largest = other > largest ? other : largest;
    }
    if (lane_number() == 0)
        of_warp[threadIdx.x / LANES] = largest;
    __syncthreads();
    for (u32 w = 0; w < blockDim.x / LANES; ++w)
        largest = of_warp[w] > largest ? of_warp[w] : largest;
    __syncthreads();
    return largest;
}

// The median of the n smallest values, at least one; an even number averages the middle two.
template <class Values>
__device__ double median(const Keys<Values> &keys, u32 n)
{
    u32 smaller;
    u64 upper = select_key(keys, n / 2, smaller);
    if (n % 2 == 1)
        return from_key(upper);
    u64 lower = smaller == n / 2 ? largest_below(keys, upper) : upper;
    return 0.5 * (from_key(lower) + from_key(upper));
}
