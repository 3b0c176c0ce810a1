//! Small linear algebra on the host in f64, the same bits everywhere: nothing but +, ·, / and √.

/// Sweeps after which Jacobi's rotations have long since converged.
const MOST_SWEEPS: usize = 50;

/// Components of uniform random numbers in −1..1 on the covered pixels, 0 elsewhere [k, p].
///
/// # Source
/// SplitMix64: Steele, Lea & Flood 2014, OOPSLA.
pub(super) fn random_start(k: usize, is_covered_p: &[bool], seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        // 53 bits fit an f64.
        2.0 * ((x >> 11) as f64 / (1_u64 << 53) as f64) - 1.0
    };
    let mut start_kp = Vec::with_capacity(k * is_covered_p.len());
    for _ in 0..k {
        start_kp.extend(is_covered_p.iter().map(|&is_covered| {
            let value = draw();
            if is_covered { value } else { 0.0 }
        }));
    }
    start_kp
}

/// Makes rows of length `n` orthonormal (modified Gram–Schmidt, twice); gives the share of each row's
/// length that was not along those before it, NaN for a row of zeros.
pub(super) fn orthonormalize(rows_kp: &mut [f64], n: usize) -> Vec<f64> {
    let k = rows_kp.len() / n.max(1);
    let mut shares = Vec::with_capacity(k);
    for j in 0..k {
        let (before, rest) = rows_kp.split_at_mut(j * n);
        let row = &mut rest[..n];
        let length = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in before.chunks_exact(n) {
                let along = dot(row, other);
                row.iter_mut().zip(other).for_each(|(x, &e)| *x -= along * e);
            }
        }
        let left = dot(row, row).sqrt();
        shares.push(left / length);
        if left > 0.0 {
            row.iter_mut().for_each(|x| *x /= left);
        }
    }
    shares
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    crate::lanes::fold_f64(a.len(), |i, sum| a[i].mul_add(b[i], sum))
}

/// Mean squares of the coefficients of chosen spectra [k]; 0 of none.
pub(super) fn mean_squares(coeff_sk: &[f64], is_chosen_s: &[bool], k: usize) -> Vec<f64> {
    let mut sum_k = vec![0.0; k];
    let mut n = 0.0;
    for (c_k, _) in coeff_sk.chunks_exact(k).zip(is_chosen_s).filter(|&(_, &is_chosen)| is_chosen) {
        sum_k.iter_mut().zip(c_k).for_each(|(sum, &c)| *sum += c * c);
        n += 1.0;
    }
    sum_k.into_iter().map(|sum: f64| sum / f64::max(n, 1.0)).collect()
}

/// What the mean squares of chosen spectra would be, were the coefficients normal with their median square [k].
pub(super) fn median_squares(coeff_sk: &[f64], is_chosen_s: &[bool], k: usize) -> Vec<f64> {
    /// Median of χ² of one degree of freedom.
    const MEDIAN_CHI2: f64 = 0.454_936_423_119_572_8;
    let median = |j: usize| {
        let chosen = coeff_sk.chunks_exact(k).zip(is_chosen_s).filter(|&(_, &is_chosen)| is_chosen);
        let mut square_s: Vec<f64> = chosen.map(|(c_k, _)| c_k[j] * c_k[j]).collect();
        square_s.sort_unstable_by(f64::total_cmp);
        square_s.get(square_s.len() / 2).map_or(0.0, |square| square / MEDIAN_CHI2)
    };
    (0..k).map(median).collect()
}

/// Axes of the second moments of the coefficients [s, k], one per row, by descending moment.
pub(super) fn principal_axes(coeff_sk: &[f64], k: usize) -> Vec<f64> {
    let mut moment = vec![0.0; k * k];
    for c_k in coeff_sk.chunks_exact(k) {
        for (row, &c) in moment.chunks_exact_mut(k).zip(c_k) {
            row.iter_mut().zip(c_k).for_each(|(m, &other)| *m += c * other);
        }
    }
    let vectors = diagonalize(&mut moment, k);
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| moment[b * k + b].total_cmp(&moment[a * k + a]));
    order.into_iter().flat_map(|i| vectors[i * k..(i + 1) * k].to_vec()).collect()
}

/// Eigenvectors, one per row, of a symmetric matrix, whose diagonal becomes the eigenvalues: Jacobi's
/// rotations row by row.
fn diagonalize(matrix: &mut [f64], k: usize) -> Vec<f64> {
    let mut vectors = vec![0.0; k * k];
    (0..k).for_each(|i| vectors[i * k + i] = 1.0);
    for _ in 0..MOST_SWEEPS {
        let mut is_diagonal = true;
        for i in 0..k {
            for j in i + 1..k {
                let (a, b, between) = (matrix[i * k + i], matrix[j * k + j], matrix[i * k + j]);
                // Smaller than this, the element changes neither eigenvalue.
                if between.abs() <= f64::EPSILON * (a.abs() * b.abs()).sqrt() {
                    continue;
                }
                is_diagonal = false;
                let slope = (b - a) / (2.0 * between);
                let size = 1.0 / (slope.abs() + slope.mul_add(slope, 1.0).sqrt());
                let tangent = if slope < 0.0 { -size } else { size };
                let cosine = 1.0 / tangent.mul_add(tangent, 1.0).sqrt();
                rotate(matrix, &mut vectors, k, (i, j), (cosine, tangent * cosine));
            }
        }
        if is_diagonal {
            break;
        }
    }
    vectors
}

/// Turns rows and columns i and j by an angle, and the vectors with them.
fn rotate(
    matrix: &mut [f64],
    vectors: &mut [f64],
    k: usize,
    (i, j): (usize, usize),
    (cosine, sine): (f64, f64),
) {
    let turn = |values: &mut [f64], at: usize, other: usize| {
        let (x, y) = (values[at], values[other]);
        values[at] = cosine * x - sine * y;
        values[other] = sine * x + cosine * y;
    };
    for m in 0..k {
        turn(matrix, m * k + i, m * k + j);
    }
    for m in 0..k {
        turn(matrix, i * k + m, j * k + m);
    }
    for m in 0..k {
        turn(vectors, i * k + m, j * k + m);
    }
}

/// Components along new axes: row i is Σ_j axes_ij · component j.
pub(super) fn turn(basis_kp: &[f64], axes: &[f64], n_pixels: usize) -> Vec<f64> {
    let k = basis_kp.len() / n_pixels.max(1);
    let mut turned_kp = vec![0.0; basis_kp.len()];
    for (turned_p, axis) in turned_kp.chunks_exact_mut(n_pixels).zip(axes.chunks_exact(k)) {
        for (component_p, &share) in basis_kp.chunks_exact(n_pixels).zip(axis) {
            turned_p.iter_mut().zip(component_p).for_each(|(sum, &e)| *sum = share.mul_add(e, *sum));
        }
    }
    turned_kp
}

/// Makes the largest element of each component positive, the first of equal ones.
pub(super) fn fix_signs(basis_kp: &mut [f64], n_pixels: usize) {
    for component_p in basis_kp.chunks_exact_mut(n_pixels) {
        let largest =
            component_p.iter().fold(0.0_f64, |most, &e| if e.abs() > most.abs() { e } else { most });
        if largest < 0.0 {
            component_p.iter_mut().for_each(|e| *e = -*e);
        }
    }
}

/// Sample standard deviation of each coefficient about its mean [k].
pub(super) fn standard_deviations(coeff_sk: &[f64], k: usize) -> Vec<f32> {
    let n = (coeff_sk.len() / k) as f64;
    let column = |j: usize| coeff_sk.iter().skip(j).step_by(k);
    (0..k)
        .map(|j| {
            let mean = column(j).sum::<f64>() / n;
            let squares: f64 = column(j).map(|c| (c - mean) * (c - mean)).sum();
            crate::band::rounded((squares / (n - 1.0)).sqrt())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_orthonormal_and_dependent_ones_are_seen() {
        let is_covered: Vec<bool> = (0..300).map(|p| p % 7 != 0).collect();
        let mut rows = random_start(5, &is_covered, 3);
        // The fourth row nearly along the first: what is left of it is lost unless the second pass mends it.
        for p in 0..300 {
            rows[3 * 300 + p] = rows[p] + 1e-6 * rows[3 * 300 + p];
        }
        let shares = orthonormalize(&mut rows, 300);
        assert!(shares[3] < 2e-6 && shares[4] > 0.9, "{shares:?}");
        for i in 0..5 {
            for j in 0..5 {
                let product = dot(&rows[i * 300..][..300], &rows[j * 300..][..300]);
                let expected = if i == j { 1.0 } else { 0.0 };
                // A sum of 300 products of f64 numbers below 1.
                assert!((product - expected).abs() < 1e-14, "{i} {j}: {product}");
            }
        }
        assert!(rows.iter().step_by(7).take(43).all(|&e| e == 0.0), "uncovered pixels stay 0");
        let mut zeros = vec![0.0; 10];
        assert!(orthonormalize(&mut zeros, 10)[0].is_nan());
    }

    #[test]
    fn axes_diagonalize_the_moments() {
        let is_covered = [true; 6];
        let coeff_sk: Vec<f64> = (1..=40_u64)
            .flat_map(|seed| {
                let c = random_start(1, &is_covered, seed);
                [3.0 * c[0] + c[1], c[1] - c[0], 10.0 * c[2], 0.1 * c[3], c[4] + c[0], c[5]]
            })
            .collect();
        let axes = principal_axes(&coeff_sk, 6);
        let mut moments = [[0.0; 6]; 6];
        for c_k in coeff_sk.chunks_exact(6) {
            let turned: Vec<f64> = axes.chunks_exact(6).map(|axis| dot(axis, c_k)).collect();
            for i in 0..6 {
                for j in 0..6 {
                    moments[i][j] += turned[i] * turned[j];
                }
            }
        }
        for i in 0..6 {
            for j in 0..6 {
                // Rounding of 40 products of numbers up to 10.
                assert!(i == j || moments[i][j].abs() < 1e-12 * moments[0][0], "{moments:?}");
            }
            assert!(i == 0 || moments[i - 1][i - 1] >= moments[i][i], "{moments:?}");
        }
    }

    #[test]
    fn largest_element_becomes_positive() {
        let mut basis = [0.1, -0.9, 0.9, 0.5, 0.2, -0.4];
        fix_signs(&mut basis, 3);
        assert_eq!(basis.map(f64::to_bits), [-0.1, 0.9, -0.9, 0.5, 0.2, -0.4].map(f64::to_bits));
    }

    #[test]
    fn standard_deviations_are_about_the_mean() {
        // 1, 2, 3, 4 has variance 5/3; a constant has none.
        let sd = standard_deviations(&[1.0, 7.0, 2.0, 7.0, 3.0, 7.0, 4.0, 7.0], 2);
        assert!((f64::from(sd[0]) - (5.0_f64 / 3.0).sqrt()).abs() < 1e-7 && sd[1] == 0.0);
    }
}
