// What: median of the good pixels within `half` pixels of each pixel, where at least half of those on the grid are
//   good.
// In: flux, ivar [s, p] f32; per row its spectrum and its half width u32.
// Out: median [row, p] f32, valid [row, p] u8; every pixel is written.
// Launch: some blocks per processor, each with its own scratch, walking over rows; a thread per pixel, walking on.
// Limits: any shape; scratch per block (KEY_BITS + 1) (p / 32 + 1) words of 8 B and 8 B per pixel.
// Deterministic because: an order statistic is the same by any algorithm, and integer counts in any order.
// Bound by: instructions, on scratch that caches hold: a DESI spectrum is 62 kB read, 39 kB written, 32 stable
//   partitions of 7781 keys and 7781 searches of 32 steps, some 450,000 instructions of a warp: about 3 ms per 1000
//   spectra on an RTX A4000, 0.9 ms on an H200.
// Twin: cpu.rs, which slides a set along the spectrum instead. Source: the wavelet matrix of Claude & Navarro 2012.
#include "device.cuh"

// Warps of the largest block.
#define MOST_WARPS 32u

// 32 bits, and how many ones there are before them; read at once.
struct alignas(8) Word {
    u32 bits;
    u32 before;
};

// Where the ones of a sequence are.
struct Bits {
    Word *words;

    __device__ u32 ones_before(u32 i) const
    {
        Word word = words[i / LANES];
        return word.before + __popc(word.bits & ((1u << i % LANES) - 1));
    }
};

// Integers in the order of the floats, -0 as +0; and back.
__device__ inline u32 sort_key(float flux)
{
    u32 bits = __float_as_uint(flux + 0.0f);
    return bits >> 31 ? ~bits : bits | 1u << 31;
}

__device__ inline float flux_of(u32 key) { return __uint_as_float(key >> 31 ? key & ~(1u << 31) : ~key); }

// Sets the bits of n elements, and of one more so that n has ones before it; returns the ones in all.
template <class Bit>
__device__ u32 set_bits(Bits to, u32 n, Bit bit)
{
    __shared__ u32 ones_of_warp[MOST_WARPS];
    u32 warp = threadIdx.x / LANES, n_warps = blockDim.x / LANES, n_words = n / LANES + 1;
    // A warp's words are neighbours, so that it knows the ones before each but for those of the warps before.
    u32 share = (n_words + n_warps - 1) / n_warps, first = warp * share;
    u32 end = first + share < n_words ? first + share : n_words;
    u32 ones = 0;
    for (u32 w = first; w < end; ++w) {
        u32 i = w * LANES + lane_number();
        u32 bits = __ballot_sync(FULL_WARP, i < n && bit(i));
        if (lane_number() == 0)
            to.words[w] = {bits, ones};
        ones += __popc(bits);
    }
    if (lane_number() == 0)
        ones_of_warp[warp] = ones;
    __syncthreads();
    u32 before = 0, all = 0;
    for (u32 other = 0; other < n_warps; ++other) {
        before += other < warp ? ones_of_warp[other] : 0;
        all += ones_of_warp[other];
    }
    for (u32 w = first + lane_number(); w < end; w += LANES)
        to.words[w].before += before;
    __syncthreads();
    return all;
}

// A block's memory: the keys of one spectrum's good pixels, and their bits by level from the top; each level's order
// is that of the level above with the zeros moved before the ones.
struct Scratch {
    Word *words;
    u32 *keys;
    u32 *spare;
    u32 n_words;

    __device__ Bits good() const { return {words + (u64)KEY_BITS * n_words}; }
    __device__ Bits level(u32 l) const { return {words + (u64)l * n_words}; }
};

// Leaves the keys of the good pixels in order of pixels; returns how many there are.
__device__ inline u32 set_keys(const Scratch &own, const float *flux_p, const float *ivar_p, u32 n)
{
    Bits good = own.good();
    u32 n_good = set_bits(good, n, [=](u32 p) { return is_good(flux_p[p], ivar_p[p]); });
    for (u32 p = threadIdx.x; p < n; p += blockDim.x)
        if (is_good(flux_p[p], ivar_p[p]))
            own.keys[good.ones_before(p)] = sort_key(flux_p[p]);
    __syncthreads();
    return n_good;
}

// Sets the levels' bits from the keys, which it reorders, and the number of zeros of each.
__device__ inline void set_levels(Scratch own, u32 n_keys, u32 zeros_l[KEY_BITS])
{
    for (u32 l = 0; l < KEY_BITS; ++l) {
        u32 *keys = own.keys, shift = KEY_BITS - 1 - l;
        Bits level = own.level(l);
        u32 n_zeros = n_keys - set_bits(level, n_keys, [=](u32 i) { return (keys[i] >> shift & 1) != 0; });
        for (u32 i = threadIdx.x; i < n_keys; i += blockDim.x) {
            u32 key = keys[i], ones = level.ones_before(i);
            own.spare[key >> shift & 1 ? n_zeros + ones : i - ones] = key;
        }
        if (threadIdx.x == 0)
            zeros_l[l] = n_zeros;
        __syncthreads();
        own.keys = own.spare;
        own.spare = keys;
    }
}

// The flux of a rank among the good pixels `first` to before `end`, counted without the others.
__device__ inline float flux_of_rank(const Scratch &own, const u32 zeros_l[KEY_BITS], u32 first, u32 end, u32 rank)
{
    u32 key = 0;
    for (u32 l = 0; l < KEY_BITS; ++l) {
        Bits level = own.level(l);
        u32 ones_first = level.ones_before(first), ones_end = level.ones_before(end);
        u32 zeros = end - first - (ones_end - ones_first);
        bool is_one = rank >= zeros;
        rank -= is_one ? zeros : 0;
        first = is_one ? zeros_l[l] + ones_first : first - ones_first;
        end = is_one ? zeros_l[l] + ones_end : end - ones_end;
        key = key << 1 | is_one;
    }
    return flux_of(key);
}

extern "C" __global__ void __launch_bounds__(MANY_THREADS) continuum_f32(
    const float *__restrict__ flux_sp, const float *__restrict__ ivar_sp, u32 n_pixels,
    const u32 *__restrict__ row_t, const u32 *__restrict__ half_t, u32 n_rows,
    Word *words, u32 *keys, float *__restrict__ median_tp, u8 *__restrict__ valid_tp)
{
    __shared__ u32 zeros_l[KEY_BITS];
    u32 n_words = n_pixels / LANES + 1;
    u64 of_block = blockIdx.x;
    Scratch own = {words + of_block * (KEY_BITS + 1) * n_words, keys + of_block * 2 * n_pixels,
                   keys + (of_block * 2 + 1) * n_pixels, n_words};
    for (u64 t = blockIdx.x; t < n_rows; t += gridDim.x) {
        const float *flux_p = flux_sp + (u64)row_t[t] * n_pixels, *ivar_p = ivar_sp + (u64)row_t[t] * n_pixels;
        u32 half = half_t[t];
        u32 n_keys = set_keys(own, flux_p, ivar_p, n_pixels);
        set_levels(own, n_keys, zeros_l);
        for (u32 p = threadIdx.x; p < n_pixels; p += blockDim.x) {
            u32 from = p > half ? p - half : 0, to = n_pixels - p > half ? p + half + 1 : n_pixels;
            u32 first = own.good().ones_before(from), end = own.good().ones_before(to);
            u32 count = end - first;
            bool valid = count > 0 && count >= to - from - count;
            float median = 0.0f;
            if (valid) {
                median = flux_of_rank(own, zeros_l, first, end, (count - 1) / 2);
                if (count % 2 == 0)
                    median = 0.5f * median + 0.5f * flux_of_rank(own, zeros_l, first, end, count / 2);
            }
            median_tp[t * n_pixels + p] = median;
            valid_tp[t * n_pixels + p] = valid;
        }
        // The scratch is the next row's.
        __syncthreads();
    }
}
