//! Numbers for cells: a hash of what they are for, cheap enough for a billion of them.

/// A stage of splitmix64 (Steele et al. 2014).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let z = a.wrapping_add(b.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in [0, 1), 53 bits.
pub(super) fn uniform(hash: u64) -> f64 {
    (hash >> 11) as f64 / 9_007_199_254_740_992.0
}

/// Nearly normal: four uniforms of 16 bits, summed; mean 0, variance 1, within ±3.46.
pub(super) fn normal(hash: u64) -> f64 {
    let sum: u64 = (0..4).map(|i| (hash >> (16 * i)) & 0xffff).sum();
    (sum as f64 / 65_535.0 - 2.0) * 1.732_050_807_568_877_2
}

/// One of `n` > 0.
pub(super) fn below(hash: u64, n: u64) -> u64 {
    (hash >> 7) % n.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_spread_as_they_should_be() {
        let n = 100_000_u64;
        let (mut sum, mut square, mut flat) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let value = normal(mix(7, i));
            sum += value;
            square += value * value;
            flat += uniform(mix(9, i));
        }
        let n = n as f64;
        // Five standard errors of each mean; the excess kurtosis of four uniforms is -0.3.
        assert!((sum / n).abs() < 5.0 / n.sqrt());
        assert!((square / n - 1.0).abs() < 5.0 * (1.7 / n).sqrt());
        assert!((flat / n - 0.5).abs() < 5.0 * (1.0 / 12.0 / n).sqrt());
    }
}
