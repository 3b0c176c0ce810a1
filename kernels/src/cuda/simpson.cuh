// Composite Simpson sums over points that a warp finds one after another: the ends of a band, and the good pixels
// between them. Twin: Points in ops/breaks/cpu.rs.
#pragma once
#include "device.cuh"

// Pixel numbers kept per warp: at least two blocks of pixels, and two neighbours on either side.
#define RING 128

// A point of a Simpson integral: f_nu and its ivar.
struct Point {
    double x, f, w;
};

// An interpolated end: shares of the two pixels that it is made of, the outer one's ivar, and its Simpson weight.
struct End {
    Point point;
    double inner, outer, outer_w;
    double weight;
};

// The n points of an integral: two ends, and between them the pixels whose last numbers are in the ring.
struct Points {
    const u32 *ring;
    u32 n;
    End lo, hi;
};

__device__ inline double x_of(const Points &points, u32 i)
{
    if (i == 0)
        return points.lo.point.x;
    return i == points.n - 1 ? points.hi.point.x : (double)points.ring[i % RING] + 0.5;
}

// Coefficient of point i in the composite Simpson sum: what it gets as the last, middle and first point of two
// intervals, and in the last interval of an even number of points.
__device__ inline double simpson(const Points &points, u32 i)
{
    u32 n = points.n, odd_n = n % 2 == 1 ? n : n - 1;
    double sum = 0.0;
    for (u32 place = 3; place > 0; --place) {
        u32 first = i + 1 - place;
        if (i + 1 < place || first % 2 == 1 || first + 2 >= odd_n)
            continue;
        double h0 = x_of(points, first + 1) - x_of(points, first);
        double h1 = x_of(points, first + 2) - x_of(points, first + 1);
        double sixth = (h0 + h1) / 6.0;
        if (place == 2)
            sum = sum + sixth * (h0 + h1) * (h0 + h1) / (h0 * h1);
        else
            sum = sum + sixth * (2.0 - (place == 1 ? h1 / h0 : h0 / h1));
    }
    if (odd_n == n || i + 3 < n)
        return sum;
    double h0 = x_of(points, n - 2) - x_of(points, n - 3), h1 = x_of(points, n - 1) - x_of(points, n - 2);
    if (i == n - 1)
        return sum + h1 * (2.0 * h1 + 3.0 * h0) / (6.0 * (h0 + h1));
    if (i == n - 2)
        return sum + h1 * (h1 + 3.0 * h0) / (6.0 * h0);
    return sum - h1 * h1 * h1 / (6.0 * h0 * (h0 + h1));
}
