// CUDA's words on a CPU. Every thread of a block is a fiber with a stack of its own; a block's fibers run one
// after another, each until it waits at a barrier, in the order that the caller chooses. What a kernel reads
// before a barrier made it safe to read therefore shows as a difference between orders.
#pragma once

#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulation {

struct Dim {
    unsigned x, y, z;
};

constexpr unsigned WARP = 32;
constexpr unsigned MOST_THREADS = 1024;
constexpr size_t STACK_BYTES = 256 * 1024;

enum class State : unsigned char { Ready, AtBlock, AtWarp, Done };

// A thread of a block.
struct Fiber {
#if defined(__x86_64__)
    void *stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
    char *stack = nullptr;
    State state = State::Done;
    const char *waits_in = nullptr;
};

// What one OS thread runs.
struct Block {
    std::vector<Fiber> fibers;
    Fiber scheduler;
    unsigned current = 0;
    unsigned n_threads = 0;
    // Two slots per lane: a lane may write its next value while another still reads the last.
    uint64_t exchanged[2][MOST_THREADS] = {};
    unsigned char turn[MOST_THREADS] = {};
    void (*run)(void **) = nullptr;
    void **args = nullptr;
    char *dynamic_shared = nullptr;
    void *scheduler_fake_stack = nullptr;
    const void *scheduler_stack = nullptr;
    size_t scheduler_stack_bytes = 0;
};

inline thread_local Block *block = nullptr;
inline thread_local Dim thread_idx, block_idx, block_dim, grid_dim;

#if defined(__x86_64__)
// Saves the callee's registers on one stack and takes them from another.
extern "C" void emulation_switch(void **from, void *to);
asm(R"(
.text
.hidden emulation_switch
.globl emulation_switch
.type emulation_switch, @function
emulation_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulation_switch, .-emulation_switch
)");
#endif

inline void switch_fiber(Fiber &from, Fiber &to, bool is_last, const void *stack, size_t bytes)
{
#if defined(__SANITIZE_ADDRESS__)
    void *fake = nullptr;
    __sanitizer_start_switch_fiber(is_last ? nullptr : &fake, stack, bytes);
#endif
    (void)is_last, (void)stack, (void)bytes;
#if defined(__x86_64__)
    emulation_switch(&from.stack_pointer, to.stack_pointer);
#else
    swapcontext(&from.context, &to.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// From a thread back to the scheduler.
inline void yield_as(State state, const char *what)
{
    Block &own = *block;
    Fiber &fiber = own.fibers[own.current];
    Dim index = thread_idx;
    fiber.state = state;
    fiber.waits_in = what;
    switch_fiber(fiber, own.scheduler, state == State::Done, own.scheduler_stack, own.scheduler_stack_bytes);
    thread_idx = index;
}

inline void enter()
{
    Block &own = *block;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &own.scheduler_stack, &own.scheduler_stack_bytes);
#endif
    own.run(own.args);
    yield_as(State::Done, "");
    abort();
}

inline void prepare(Fiber &fiber)
{
    if (!fiber.stack)
        fiber.stack = static_cast<char *>(malloc(STACK_BYTES));
    fiber.state = State::Ready;
#if defined(__SANITIZE_ADDRESS__)
    // The frames of a thread that has ended are marked as in use: it never returned from them.
    constexpr size_t LEFT = 8 * 1024;
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack + STACK_BYTES - LEFT, LEFT);
#endif
#if defined(__x86_64__)
    auto top = reinterpret_cast<uintptr_t>(fiber.stack + STACK_BYTES) & ~uintptr_t(15);
    auto **slots = reinterpret_cast<void **>(top);
    // The return address, six registers below it; the stack is then as after a call.
    slots[-2] = reinterpret_cast<void *>(&enter);
    for (int i = 3; i <= 8; ++i)
        slots[-i] = nullptr;
    fiber.stack_pointer = slots - 8;
#else
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = STACK_BYTES;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &enter, 0);
#endif
}

inline void resume(unsigned t)
{
    Block &own = *block;
    own.current = t;
    thread_idx = {t, 0, 0};
    switch_fiber(own.scheduler, own.fibers[t], false, own.fibers[t].stack, STACK_BYTES);
}

// The barriers that are complete are opened; false where nothing can go on.
inline bool open_barriers(char *message, size_t length)
{
    Block &own = *block;
    unsigned done = 0, at_block = 0;
    bool opened = false;
    for (unsigned t = 0; t < own.n_threads; ++t) {
        done += own.fibers[t].state == State::Done;
        at_block += own.fibers[t].state == State::AtBlock;
    }
    if (done == own.n_threads)
        return false;
    for (unsigned warp = 0; warp < own.n_threads; warp += WARP) {
        unsigned waiting = 0;
        for (unsigned t = warp; t < warp + WARP; ++t)
            waiting += own.fibers[t].state == State::AtWarp;
        for (unsigned t = warp; waiting == WARP && t < warp + WARP; ++t)
            own.fibers[t].state = State::Ready;
        opened |= waiting == WARP;
    }
    if (at_block == own.n_threads) {
        for (unsigned t = 0; t < own.n_threads; ++t)
            own.fibers[t].state = State::Ready;
        opened = true;
    }
    if (opened)
        return true;
    for (unsigned t = 0; t < own.n_threads; ++t)
        if (own.fibers[t].state != State::Done) {
            snprintf(message, length, "divergent barrier: block %u, thread %u waits in %s, %u of %u threads have ended, %u wait for the block",
                     block_idx.x, t, own.fibers[t].waits_in, done, own.n_threads, at_block);
            break;
        }
    return false;
}

// The order in which the fibers of a block are resumed.
inline void arrange(std::vector<unsigned> &order, unsigned n, unsigned how, uint64_t seed)
{
    order.resize(n);
    for (unsigned t = 0; t < n; ++t)
        order[t] = how == 1 ? n - 1 - t : t;
    if (how != 2)
        return;
    for (unsigned t = n; t > 1; --t) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        std::swap(order[t - 1], order[(seed >> 33) % t]);
    }
}

inline bool run_block(std::vector<unsigned> &order, unsigned how, char *message, size_t length)
{
    Block &own = *block;
    for (unsigned t = 0; t < own.n_threads; ++t)
        prepare(own.fibers[t]);
    uint64_t round = 0;
    message[0] = 0;
    do {
        arrange(order, own.n_threads, how, (uint64_t(block_idx.x) << 20) + ++round);
        for (unsigned t : order)
            if (own.fibers[t].state == State::Ready)
                resume(t);
    } while (open_barriers(message, length));
    return message[0] == 0;
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void **args, std::index_sequence<I...>)
{
    kernel(*static_cast<A *>(args[I])...);
}

template <class... A>
void call(void (*kernel)(A...), void **args)
{
    call(kernel, args, std::index_sequence_for<A...>{});
}

template <auto kernel>
void call_with(void **args)
{
    call(kernel, args);
}

// The values of a kernel's arguments, one place each; how many there are.
template <class... A, size_t... I>
int copy_arguments(void (*)(A...), void **args, uint64_t *values, std::index_sequence<I...>)
{
    static_assert(((sizeof(A) <= sizeof(uint64_t)) && ...), "an argument is a pointer or a number");
    if (values)
        (memcpy(values + I, args[I], sizeof(A)), ...);
    return sizeof...(A);
}

template <class... A>
int copy_arguments(void (*kernel)(A...), void **args, uint64_t *values)
{
    return copy_arguments(kernel, args, values, std::index_sequence_for<A...>{});
}

template <auto kernel>
int arguments_of(void **args, uint64_t *values)
{
    return copy_arguments(kernel, args, values);
}

struct Entry {
    const char *name;
    void (*run)(void **);
    int (*arguments)(void **, uint64_t *);
};

template <class T>
T exchange(T value, unsigned from, const char *what)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves 4 or 8 bytes");
    Block &own = *block;
    unsigned t = own.current, turn = own.turn[t] ^= 1;
    memcpy(&own.exchanged[turn][t], &value, sizeof(T));
    yield_as(State::AtWarp, what);
    if (from >= WARP)
        return value;
    memcpy(&value, &own.exchanged[turn][t / WARP * WARP + from], sizeof(T));
    return value;
}

inline void need_whole_warp(unsigned mask)
{
    if (mask != 0xffffffffu) {
        fprintf(stderr, "a warp operation on part of a warp\n");
        abort();
    }
}

} // namespace emulation

#define __global__
#define __device__
#define __host__
#define __restrict__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local
// Shared memory whose size the launch gives.
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(emulation::block->dynamic_shared)

#define threadIdx emulation::thread_idx
#define blockIdx emulation::block_idx
#define blockDim emulation::block_dim
#define gridDim emulation::grid_dim

struct alignas(16) float4 {
    float x, y, z, w;
};

inline void __syncthreads() { emulation::yield_as(emulation::State::AtBlock, "__syncthreads"); }

inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    emulation::need_whole_warp(mask);
    emulation::yield_as(emulation::State::AtWarp, "__syncwarp");
}

template <class T>
T __shfl_sync(unsigned mask, T value, unsigned lane)
{
    emulation::need_whole_warp(mask);
    return emulation::exchange(value, lane % emulation::WARP, "__shfl_sync");
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta)
{
    emulation::need_whole_warp(mask);
    return emulation::exchange(value, threadIdx.x % emulation::WARP + delta, "__shfl_down_sync");
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta)
{
    emulation::need_whole_warp(mask);
    unsigned lane = threadIdx.x % emulation::WARP;
    return emulation::exchange(value, lane >= delta ? lane - delta : emulation::WARP, "__shfl_up_sync");
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned bits)
{
    emulation::need_whole_warp(mask);
    return emulation::exchange(value, (threadIdx.x % emulation::WARP) ^ bits, "__shfl_xor_sync");
}

inline unsigned __ballot_sync(unsigned mask, bool bit)
{
    emulation::need_whole_warp(mask);
    emulation::Block &own = *emulation::block;
    emulation::exchange(unsigned(bit), emulation::WARP, "__ballot_sync");
    unsigned t = own.current, first = t / emulation::WARP * emulation::WARP, bits = 0, one = 0;
    for (unsigned lane = 0; lane < emulation::WARP; ++lane) {
        memcpy(&one, &own.exchanged[own.turn[t]][first + lane], sizeof one);
        bits |= one << lane;
    }
    return bits;
}

inline bool __all_sync(unsigned mask, bool bit) { return __ballot_sync(mask, bit) == 0xffffffffu; }

// Fibers of one OS thread never interrupt each other, and blocks run one after another.
template <class T>
T atomicAdd(T *place, T value)
{
    T before = *place;
    *place = before + value;
    return before;
}

template <class T>
T atomicMin(T *place, T value)
{
    T before = *place;
    *place = value < before ? value : before;
    return before;
}

inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }

template <class To, class From>
To emulation_bits(From value)
{
    static_assert(sizeof(To) == sizeof(From), "bits of one size");
    To bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline unsigned __float_as_uint(float value) { return emulation_bits<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return emulation_bits<float>(bits); }
inline long long __double_as_longlong(double value) { return emulation_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return emulation_bits<double>(bits); }

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(unsigned(bits)) : 32; }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

#define EMULATED_TABLE_BEGIN static const emulation::Entry EMULATED_KERNELS[] = {
#define EMULATED(operation, name)                                                                              \
    {#name, &emulation::call_with<&::operation::name>, &emulation::arguments_of<&::operation::name>},
// Copies a kernel's arguments: how many there are, or -1 where there is no such kernel or no room for them.
// Runs a kernel by name: 0, or 1 with a message. `how` the threads of a block take turns: 0 in order, 1 in
// reverse, 2 in an order of its own for every round. Blocks go in order, or in reverse where threads do.
#define EMULATED_TABLE_END                                                                                     \
    };                                                                                                         \
    extern "C" int emulation_arguments(const char *name, void **args, uint64_t *values, size_t room)           \
    {                                                                                                          \
        for (const emulation::Entry &entry : EMULATED_KERNELS)                                                 \
            if (strcmp(entry.name, name) == 0) {                                                               \
                int count = entry.arguments(args, nullptr);                                                    \
                return !values ? count : size_t(count) <= room ? entry.arguments(args, values) : -1;           \
            }                                                                                                  \
        return -1;                                                                                             \
    }                                                                                                          \
    extern "C" int emulate(const char *name, unsigned blocks, unsigned threads, unsigned shared_bytes,         \
                           unsigned how, void **args, char *message, size_t length)                            \
    {                                                                                                          \
        using namespace emulation;                                                                             \
        for (const Entry &entry : EMULATED_KERNELS) {                                                          \
            if (strcmp(entry.name, name) != 0)                                                                 \
                continue;                                                                                      \
            static thread_local Block own;                                                                     \
            static thread_local std::vector<unsigned> order;                                                   \
            if (threads == 0 || threads % WARP != 0 || threads > MOST_THREADS) {                               \
                snprintf(message, length, "%u threads are no whole warps of a block", threads);                \
                return 1;                                                                                      \
            }                                                                                                  \
            std::vector<char> shared(shared_bytes + 1);                                                        \
            block = &own;                                                                                      \
            own.n_threads = threads;                                                                           \
            if (own.fibers.size() < threads)                                                                   \
                own.fibers.resize(threads);                                                                    \
            own.run = entry.run;                                                                               \
            own.args = args;                                                                                   \
            own.dynamic_shared = shared.data();                                                                \
            block_dim = {threads, 1, 1};                                                                       \
            grid_dim = {blocks, 1, 1};                                                                         \
            for (unsigned b = 0; b < blocks; ++b) {                                                            \
                block_idx = {how == 1 ? blocks - 1 - b : b, 0, 0};                                             \
                memset(shared.data(), 0xff, shared.size());                                                    \
                if (!run_block(order, how, message, length))                                                   \
                    return 1;                                                                                  \
            }                                                                                                  \
            return 0;                                                                                          \
        }                                                                                                      \
        snprintf(message, length, "there is no kernel of this name");                                          \
        return 1;                                                                                              \
    }
