//! Random numbers that depend on what they are for, never on the order in which they are drawn.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A stream of random numbers for one purpose.
pub(crate) struct Draw {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Draw {
    /// The stream for `purpose`, number `index`, under `seed`.
    pub(crate) fn keyed(seed: u64, purpose: &str, index: u64) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&fnv1a(purpose).to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        key[24..].copy_from_slice(b"specmill");
        Self { rng: ChaCha8Rng::from_seed(key), spare: None }
    }

    /// Uniform in [0, 1), 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Uniform in [low, high).
    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform among 0..n; `n` > 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        // The bias of the plain remainder is below n / 2^64.
        self.rng.next_u64() % n.max(1)
    }

    /// Standard normal (Box and Muller 1958, Ann. Math. Stat. 29, 610).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * self.uniform());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Poisson with a small mean, by counting uniform products (Knuth).
    pub(crate) fn poisson(&mut self, mean: f64) -> usize {
        let limit = libm::exp(-mean);
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_index() {
        let first = |seed, purpose, index| Draw::keyed(seed, purpose, index).uniform().to_bits();
        let base = first(1, "noise", 0);
        assert_eq!(base, first(1, "noise", 0));
        assert_ne!(base, first(2, "noise", 0));
        assert_ne!(base, first(1, "target", 0));
        assert_ne!(base, first(1, "noise", 1));
    }

    #[test]
    fn normal_deviates_have_unit_variance() {
        let mut draw = Draw::keyed(7, "test", 0);
        let n = 100_000;
        let (mut sum, mut square) = (0.0, 0.0);
        for _ in 0..n {
            let value = draw.normal();
            sum += value;
            square += value * value;
        }
        let n = f64::from(n);
        // Five standard errors: 5/sqrt(n) for the mean, 5 sqrt(2/n) for the variance.
        assert!((sum / n).abs() < 5.0 / n.sqrt());
        assert!((square / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }
}
