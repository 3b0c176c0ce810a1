//! Nearest rows by sorting every distance.

/// (dist2 in f64, row) of all other rows, nearest first.
pub(crate) fn sorted(vectors_nd: &[f32], d: usize, query: usize) -> Vec<(f64, usize)> {
    let row = |n: usize| &vectors_nd[n * d..(n + 1) * d];
    let dist2 = |n: usize| {
        row(query).iter().zip(row(n)).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>()
    };
    let mut rows: Vec<(f64, usize)> =
        (0..vectors_nd.len() / d).filter(|&n| n != query).map(|n| (dist2(n), n)).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    rows
}

/// The same from the f32 chain of the contract, for equality to the bit.
pub(crate) fn sorted_chain(vectors_nd: &[f32], d: usize, query: usize) -> Vec<(f32, usize)> {
    let row = |n: usize| &vectors_nd[n * d..(n + 1) * d];
    let dist2 = |n: usize| row(query).iter().zip(row(n)).fold(0.0, |sum, (x, y)| (x - y).mul_add(x - y, sum));
    let mut rows: Vec<(f32, usize)> =
        (0..vectors_nd.len() / d).filter(|&n| n != query).map(|n| (dist2(n), n)).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    rows
}
