// Small symmetric systems, one per thread, in f64: Cholesky L * transpose(L) of a packed lower triangle
// (element i, j at i (i + 1) / 2 + j). Every sum is one fma chain in ascending order. Twin: cholesky.rs.
#pragma once

// Element i of something, those of one system lying `stride` apart, so that neighbouring threads read
// neighbouring numbers.
struct Elements {
    double *first;
    u64 stride;
    __device__ double &operator[](u64 i) const { return first[i * stride]; }
};

// A system of k equations and what is made of it.
struct System {
    u32 k;
    // The left side, then L.
    Elements factor;
    // The right side, then y with L y = b.
    Elements half;
    // c with transpose(L) c = y.
    Elements solution;
};

// Where row i of a packed triangle begins.
__device__ inline u64 row_start(u64 i) { return i * (i + 1) / 2; }

// Pairs (i, j) with j <= i < k.
__device__ inline u64 n_pairs(u64 k) { return row_start(k); }

// System r of [element, row]: left side, right side, solution.
__device__ inline System system_of(double *systems, u64 n_rows, u64 r, u32 k)
{
    double *half = systems + n_pairs(k) * n_rows;
    return {k, {systems + r, n_rows}, {half + r, n_rows}, {half + k * n_rows + r, n_rows}};
}

// from - sum over m < n of a_m b_m.
__device__ inline double minus_products(double from, const Elements &a, u64 a0, const Elements &b, u64 b0,
                                        u64 n)
{
    double sum = from;
    for (u64 m = 0; m < n; ++m)
        sum = __fma_rn(-a[a0 + m], b[b0 + m], sum);
    return sum;
}

// Whether the left side is positive definite by more than its rounding.
__device__ inline bool factorize(const System &system)
{
    bool is_determined = true;
    const Elements &factor = system.factor;
    for (u64 i = 0; i < system.k; ++i) {
        u64 row = row_start(i);
        for (u64 j = 0; j < i; ++j) {
            u64 other = row_start(j);
            double sum = minus_products(factor[row + j], factor, row, factor, other, j);
            factor[row + j] = sum / factor[other + j];
        }
        double diagonal = factor[row + i];
        double pivot = minus_products(diagonal, factor, row, factor, row, i);
        bool is_sound = pivot > LEAST_PIVOT * diagonal && pivot <= F64_MAX;
        is_determined = is_determined && is_sound;
        factor[row + i] = sqrt(is_sound ? pivot : 1.0);
    }
    return is_determined;
}

__device__ inline void substitute(const System &system)
{
    const Elements &factor = system.factor, &half = system.half, &solution = system.solution;
    for (u64 i = 0; i < system.k; ++i) {
        u64 row = row_start(i);
        half[i] = minus_products(half[i], factor, row, half, 0, i) / factor[row + i];
    }
    for (u64 i = system.k; i-- > 0;) {
        double sum = half[i];
        for (u64 m = i + 1; m < system.k; ++m)
            sum = __fma_rn(-factor[row_start(m) + i], solution[m], sum);
        solution[i] = sum / factor[row_start(i) + i];
    }
}

// Element j of the diagonal of the inverse: the squares of column j of L's inverse, summed.
__device__ inline double variance(const System &system, u64 j, const Elements &column)
{
    double sum = 0.0;
    for (u64 i = j; i < system.k; ++i) {
        u64 row = row_start(i);
        double own = minus_products(i == j ? 1.0 : 0.0, system.factor, row + j, column, j, i - j);
        double element = own / system.factor[row + i];
        column[i] = element;
        sum = __fma_rn(element, element, sum);
    }
    return sum;
}

// The smallest L_ii^2 of a system that is determined.
__device__ inline double least_pivot(const System &system)
{
    double least = F64_MAX;
    for (u64 i = 0; i < system.k; ++i) {
        double l = system.factor[row_start(i) + i];
        least = l * l < least ? l * l : least;
    }
    return least;
}
