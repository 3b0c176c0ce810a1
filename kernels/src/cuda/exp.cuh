// The exponential of shared operations. Twin: exp.rs.
#pragma once

// e^x for |x| <= EXP_MAX, within 1 ulp; outside it, finite but meaningless.
__device__ inline float exp_f32(float x)
{
    float shifted = __fmaf_rn(x, EXP_PER_LN2, EXP_ROUND);
    float n = shifted - EXP_ROUND;
    float r = __fmaf_rn(n, -(EXP_LN2_LOW), __fmaf_rn(n, -(EXP_LN2_HIGH), x));
    float e_r = 1.0f / 5040.0f;
    e_r = __fmaf_rn(r, e_r, 1.0f / 720.0f);
    e_r = __fmaf_rn(r, e_r, 1.0f / 120.0f);
    e_r = __fmaf_rn(r, e_r, 1.0f / 24.0f);
    e_r = __fmaf_rn(r, e_r, 1.0f / 6.0f);
    e_r = __fmaf_rn(r, e_r, 0.5f);
    e_r = __fmaf_rn(r, e_r, 1.0f);
    e_r = __fmaf_rn(r, e_r, 1.0f);
    // `shifted` has the bits of EXP_ROUND plus n: its low bits, moved to the exponent, are 2^n.
    float two_n = __uint_as_float((__float_as_uint(shifted) << 23) + __float_as_uint(1.0f));
    return e_r * two_n;
}
