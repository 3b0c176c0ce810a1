//! The order of every sum over pixels: 32 lanes, then a halving tree.
//!
//! Lane l takes elements l, l + 32, l + 64, … in ascending order, starting from 0; then lane l adds
//! lane l + 16, then l + 8, 4, 2, 1, and lane 0 is the sum. The order depends on the number of
//! elements alone, so a 32-thread warp and a vector unit of any width give the same bits.

/// Number of partial sums.
pub const LANES: usize = crate::constants::LANES as usize;

/// A number per lane, where vectors of any width lie aligned.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Lanes<T>(pub(crate) [T; LANES]);

impl Lanes<f64> {
    /// The lanes' sum by the halving tree.
    #[inline(always)]
    pub(crate) fn sum(self) -> f64 {
        halve(self.0, &|a, b| a + b)
    }
}

/// Sum of `values` in lane order.
#[inline(always)]
pub fn sum_f32(values: &[f32]) -> f32 {
    fold_f32(values.len(), |i, sum| sum + values[i])
}

/// Sum of `values` in lane order.
#[inline(always)]
pub fn sum_f64(values: &[f64]) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = Lanes([0.0; LANES]);
    for block in blocks {
        for (lane, value) in lanes.0.iter_mut().zip(block) {
            *lane += value;
        }
    }
    for (lane, value) in lanes.0.iter_mut().zip(rest) {
        *lane += value;
    }
    lanes.sum()
}

/// Folds elements 0..n in lane order: `add(i, sum)` gives lane i mod 32 after element i.
///
/// `add` is `sum + x` or one fused `a.mul_add(b, sum)`.
#[inline(always)]
pub fn fold_f32(n: usize, add: impl Fn(usize, f32) -> f32) -> f32 {
    let [sum] = fold_many_f32(n, |i, [sum]| [add(i, sum)]);
    sum
}

/// Folds elements 0..n in lane order: `add(i, sum)` gives lane i mod 32 after element i.
#[inline(always)]
pub fn fold_f64(n: usize, add: impl Fn(usize, f64) -> f64) -> f64 {
    let [sum] = fold_many_f64(n, |i, [sum]| [add(i, sum)]);
    sum
}

/// `M` sums over the same elements in one pass, each in lane order.
#[inline(always)]
pub fn fold_many_f32<const M: usize>(n: usize, add: impl Fn(usize, [f32; M]) -> [f32; M]) -> [f32; M] {
    fold_many(n, 0.0, add, |a, b| a + b)
}

/// `M` sums over the same elements in one pass, each in lane order.
#[inline(always)]
pub fn fold_many_f64<const M: usize>(n: usize, add: impl Fn(usize, [f64; M]) -> [f64; M]) -> [f64; M] {
    fold_many(n, 0.0, add, |a, b| a + b)
}

#[inline(always)]
fn fold_many<T: Copy, const M: usize>(
    n: usize,
    zero: T,
    add: impl Fn(usize, [T; M]) -> [T; M],
    plus: impl Fn(T, T) -> T,
) -> [T; M] {
    let mut lanes = [Lanes([zero; LANES]); M];
    let whole = n - n % LANES;
    for start in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            step(&mut lanes, l, start + l, &add);
        }
    }
    for i in whole..n {
        step(&mut lanes, i - whole, i, &add);
    }
    // Not by `map`: its closure may stay a function of its own, and then has no vectors.
    let mut sums = [zero; M];
    for (sum, lanes) in sums.iter_mut().zip(lanes) {
        *sum = halve(lanes.0, &plus);
    }
    sums
}

#[inline(always)]
fn step<T: Copy, const M: usize>(
    lanes: &mut [Lanes<T>; M],
    l: usize,
    i: usize,
    add: &impl Fn(usize, [T; M]) -> [T; M],
) {
    let mut sums = [lanes[0].0[0]; M];
    for m in 0..M {
        sums[m] = lanes[m].0[l];
    }
    let sums = add(i, sums);
    for m in 0..M {
        lanes[m].0[l] = sums[m];
    }
}

#[inline(always)]
fn halve<T: Copy>(mut sums: [T; LANES], plus: &impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            sums[l] = plus(sums[l], sums[l + half]);
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternating(n: u16) -> Vec<f32> {
        (0..n).map(|i| libm::powf(-1.7, f32::from(i % 23)) + 0.1).collect()
    }

    #[test]
    fn order_is_lanes_then_halving_tree() {
        for n in [0, 1, 31, 32, 33, 257] {
            let values = alternating(n);
            let wide: Vec<f64> = values.iter().map(|&v| 1.1 * f64::from(v)).collect();
            let (mut lanes, mut wide_lanes) = ([0.0_f32; 32], [0.0_f64; 32]);
            for i in 0..usize::from(n) {
                lanes[i % 32] += values[i];
                wide_lanes[i % 32] += wide[i];
            }
            for half in [16, 8, 4, 2, 1] {
                for l in 0..half {
                    lanes[l] += lanes[l + half];
                    wide_lanes[l] += wide_lanes[l + half];
                }
            }
            assert_eq!(sum_f32(&values).to_bits(), lanes[0].to_bits(), "f32, n = {n}");
            assert_eq!(sum_f64(&wide).to_bits(), wide_lanes[0].to_bits(), "f64, n = {n}");
        }
        let values = alternating(257);
        let in_order = values.iter().fold(0.0, |sum, v| sum + v);
        assert_ne!(sum_f32(&values).to_bits(), f32::to_bits(in_order), "these values must tell orders apart");
    }

    #[test]
    fn many_sums_equal_single_sums() {
        let values: Vec<f32> = (0..257_u16).map(|i| f32::from(i) * 0.37 - 40.0).collect();
        let [plain, square] =
            fold_many_f32(values.len(), |i, [a, b]| [a + values[i], values[i].mul_add(values[i], b)]);
        assert_eq!(plain.to_bits(), sum_f32(&values).to_bits());
        let alone = fold_f32(values.len(), |i, b| values[i].mul_add(values[i], b));
        assert_eq!(square.to_bits(), alone.to_bits());
    }
}
