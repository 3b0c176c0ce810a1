//! Medians of many f64 values, as integers of the same order.
//!
//! Which elements stand in the middle does not depend on how they are found, so nothing here shows in the
//! bits.

use crate::simd::{Simd, simd_fn};

/// The key of a value that does not count: above those of all numbers.
pub(crate) const MISSING: i64 = i64::MAX;

/// An integer that orders as `f64::total_cmp` does; selection compares it faster.
#[inline(always)]
pub(crate) fn to_key(value: f64) -> i64 {
    flip_if_negative(value.to_bits().cast_signed())
}

/// The value of a key.
#[inline(always)]
pub(crate) fn from_key(key: i64) -> f64 {
    f64::from_bits(flip_if_negative(key).cast_unsigned())
}

#[inline(always)]
fn flip_if_negative(bits: i64) -> i64 {
    bits ^ ((bits >> 63) & i64::MAX)
}

/// Keys that stand for the others.
const SAMPLE: usize = 64;

/// Keys that are looked at together.
const BLOCK: usize = 8;

/// Fewest keys that are worth a sample.
const MANY: usize = 4 * SAMPLE;

/// Keys, with the upper halves that nearly tell them apart.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Keys.
    pub(crate) whole: Vec<i64>,
    /// Their upper halves.
    high: Vec<i32>,
    /// Keys between two of a sample.
    near: Vec<i64>,
}

impl Keys {
    /// Room for `n` keys.
    pub(crate) fn resize(&mut self, n: usize) {
        self.whole.resize(n, MISSING);
        self.high.resize(n, 0);
        self.near.resize(n, 0);
    }

    /// The median of the values behind the `n` smallest keys, at least one; an even number averages the middle
    /// two.
    pub(crate) fn median(&mut self, simd: Simd, n: usize) -> f64 {
        let (lower, upper) = ((n - 1) / 2, n / 2);
        set_high(simd, &self.whole, &mut self.high);
        let bracket = Bracket::of(simd, &self.high, lower);
        let n_near = gather(simd, &self.whole, &self.high, &bracket, &mut self.near);
        let (before, &mut upper_key, _) = self.near[..n_near].select_nth_unstable(upper - bracket.below);
        if lower == upper {
            return from_key(upper_key);
        }
        let lower_key = before.iter().copied().max().unwrap_or(upper_key);
        0.5 * (from_key(lower_key) + from_key(upper_key))
    }
}

/// Halves of keys between which one and the next are.
struct Bracket {
    from: i32,
    to: i32,
    /// Keys below `from`.
    below: usize,
}

impl Bracket {
    /// Two neighbours of a sample between which are the key with `lower` others before it in order, and the one
    /// after it.
    fn of(simd: Simd, high: &[i32], lower: usize) -> Self {
        let mut bracket = Self { from: i32::MIN, to: i32::MAX, below: 0 };
        if high.len() < MANY {
            return bracket;
        }
        let step = high.len() / SAMPLE;
        let mut sample: [i32; SAMPLE] = std::array::from_fn(|i| high[i * step]);
        sample.sort_unstable();
        let expected = SAMPLE * lower / high.len();
        // How far off the sample is there says where to look.
        let off = count_below(simd, high, sample[expected]) / step;
        let first = (expected + lower / step).saturating_sub(off).min(SAMPLE - 1);
        let below = count_below(simd, high, sample[first]);
        if below <= lower {
            (bracket.from, bracket.below) = (sample[first], below);
            for &to in &sample[first + 1..] {
                let below = count_below(simd, high, to);
                if below > lower {
                    // So the key after the one looked for is at most this one.
                    bracket.to = to;
                    break;
                }
                (bracket.from, bracket.below) = (to, below);
            }
        } else {
            bracket.to = sample[first];
            for &from in sample[..first].iter().rev() {
                let below = count_below(simd, high, from);
                if below <= lower {
                    (bracket.from, bracket.below) = (from, below);
                    break;
                }
                bracket.to = from;
            }
        }
        bracket
    }
}

simd_fn! {
    fn set_high(keys: &[i64], high: &mut [i32]) = set_high_body;
}

#[inline(always)]
fn set_high_body(keys: &[i64], high: &mut [i32]) {
    for (high, &key) in high.iter_mut().zip(keys) {
        *high = (key >> 32) as i32;
    }
}

simd_fn! {
    fn count_below(high: &[i32], limit: i32) -> usize = count_below_body;
}

#[inline(always)]
fn count_below_body(high: &[i32], limit: i32) -> usize {
    high.iter().map(|&half| u32::from(half < limit)).sum::<u32>() as usize
}

simd_fn! {
    fn gather(keys: &[i64], high: &[i32], bracket: &Bracket, near: &mut [i64]) -> usize = gather_body;
}

/// Copies the keys of a bracket, both ends included, and gives their number.
#[inline(always)]
fn gather_body(keys: &[i64], high: &[i32], &Bracket { from, to, .. }: &Bracket, near: &mut [i64]) -> usize {
    let is_near = |half: i32| (from <= half) & (half <= to);
    let mut n = 0;
    for (keys, high) in keys.chunks(BLOCK).zip(high.chunks(BLOCK)) {
        if !high.iter().fold(false, |is_any, &half| is_any | is_near(half)) {
            continue;
        }
        for (&key, &half) in keys.iter().zip(high) {
            near[n] = key;
            n += usize::from(is_near(half));
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_the_values() {
        let values = [f64::MIN, -1.5, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, 5e-324, 1.0, 1.5, f64::MAX];
        for pair in values.windows(2) {
            assert!(to_key(pair[0]) < to_key(pair[1]), "{pair:?}");
        }
        for value in values {
            assert_eq!(from_key(to_key(value)).to_bits(), value.to_bits());
            assert!(to_key(value) < MISSING);
        }
    }

    fn of_keys(whole: &[i64]) -> Keys {
        let mut keys = Keys::default();
        keys.resize(whole.len());
        keys.whole.copy_from_slice(whole);
        keys
    }

    /// Sorts all of them.
    fn by_definition(keys: &[i64], n: usize) -> f64 {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let (lower, upper) = (from_key(sorted[(n - 1) / 2]), from_key(sorted[n / 2]));
        if n % 2 == 1 { upper } else { 0.5 * (lower + upper) }
    }

    #[test]
    fn the_median_is_that_of_the_sorted_values() {
        let mut word = 1_u64;
        let mut draw = || {
            // Knuth's linear congruential generator.
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word >> 33
        };
        for n in [1, 2, 31, 32, 33, 255, 256, 257, 2700, 2701] {
            // One value, ties of every number, hardly any tie; ascending, descending, and with outliers.
            for levels in [1, 2, 3, 50, 1 << 30] {
                for order in 0..4 {
                    let mut values: Vec<f64> = (0..n).map(|_| (draw() % levels) as f64 - 20.0).collect();
                    match order {
                        0 => {}
                        1 => values.sort_unstable_by(f64::total_cmp),
                        2 => values.sort_unstable_by(|a, b| b.total_cmp(a)),
                        _ => values.iter_mut().step_by(7).for_each(|value| *value *= -1e300),
                    }
                    let mut keys: Vec<i64> = values.iter().map(|&value| to_key(value)).collect();
                    for missing in [0, n / 3, n - 1] {
                        keys[..missing].fill(MISSING);
                        let expected = by_definition(&keys, n - missing);
                        for simd in Simd::available() {
                            let median = of_keys(&keys).median(simd, n - missing);
                            assert_eq!(
                                median.to_bits(),
                                expected.to_bits(),
                                "{n} {levels} {order} {missing}"
                            );
                        }
                    }
                }
            }
        }
    }
}
