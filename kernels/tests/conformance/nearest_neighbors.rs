//! Properties of `nearest_neighbors`.

use std::ops::Range;

use proptest::prelude::*;
use specmill_kernels::ops::nearest_neighbors::{NO_ROW, unit_vectors};
use specmill_kernels::{Backend, KernelError};

use crate::cases::{AWKWARD, Draw, check, narrow, to_bits};
use crate::reference;

/// Rows [q, k] and squared distances [q, k].
fn search<B: Backend>(
    dev: &B,
    vectors_nd: &[f32],
    d: usize,
    queries: Range<usize>,
    k: usize,
) -> (Vec<u32>, Vec<f32>) {
    let vectors = dev.upload(vectors_nd).expect("the device has room");
    let ours = dev.nearest_neighbors(&vectors, d, queries, k).expect("the case is valid");
    let index_qk = dev.download(&ours.index_qk).expect("the copy succeeds");
    (index_qk, dev.download(&ours.dist2_qk).expect("the copy succeeds"))
}

/// Vectors in a few clusters, one in eight a copy of an earlier one.
fn clustered(seed: u64, n: usize, d: usize) -> Vec<f32> {
    let mut draw = Draw::new(seed);
    let centres: Vec<f32> = (0..5 * d).map(|_| narrow(6.0 * draw.unit() - 3.0)).collect();
    let mut vectors_nd: Vec<f32> = Vec::with_capacity(n * d);
    for row in 0..n {
        if row > 0 && draw.chance(0.125) {
            let copied = draw.below(row) * d;
            vectors_nd.extend_from_within(copied..copied + d);
        } else {
            let centre = draw.below(5) * d;
            vectors_nd.extend((0..d).map(|i| centres[centre + i] + narrow(draw.unit() - 0.5)));
        }
    }
    vectors_nd
}

/// What the bits of the instruction sets and thread counts are compared by.
pub(crate) fn bits<B: Backend>(dev: &B) -> Vec<u32> {
    [(1, 3, 2), (64, 7, 5), (500, 16, 9), (333, 64, 16)]
        .into_iter()
        .flat_map(|(n, d, k)| {
            let (index_qk, dist2_qk) = search(dev, &clustered(71, n, d), d, 0..n, k);
            index_qk.into_iter().chain(to_bits(&dist2_qk))
        })
        .collect()
}

fn any_case() -> impl Strategy<Value = (u64, usize, usize, usize)> {
    let lengths = prop::sample::select(&[0_usize, 1, 2, 15, 16, 17, 63, 64, 65, 257][..]);
    (any::<u64>(), lengths, prop::sample::select(&[1_usize, 2, 7, 16, 33][..]), 1_usize..20)
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    let cpu = crate::devices::judge();
    let equal = |vectors_nd: &[f32], d: usize, queries: Range<usize>, k: usize| {
        let ours = search(dev, vectors_nd, d, queries.clone(), k);
        let truth = search(&cpu, vectors_nd, d, queries.clone(), k);
        assert_eq!(ours.0, truth.0, "{} rows of {d}, {queries:?}, k = {k}", vectors_nd.len() / d);
        assert_eq!(to_bits(&ours.1), to_bits(&truth.1), "{} rows of {d}, {queries:?}", vectors_nd.len() / d);
    };
    for n in AWKWARD {
        for (d, k) in [(1, 1), (3, 64), (33, 5), (70, 20)] {
            equal(&clustered(1, n, d), d, 0..n, k);
        }
    }
    // Many rows for few queries, most of them at one of few distances; and as many neighbours as there can be.
    let mut draw = Draw::new(2);
    let corners: Vec<f32> = (0..3000 * 3).map(|_| [0.0, 0.0, 0.0, 1.0, -2.0][draw.below(5)]).collect();
    equal(&corners, 3, 1500..1507, 100);
    equal(&clustered(3, 3000, 2), 2, 2990..3000, 1024);
    equal(&clustered(4, 1024, 4), 4, 60..70, 1024);
    // From far to near: every row is nearer than those before it.
    let approaching: Vec<f32> = (0..1500_u16).map(|row| f32::from(1500 - row)).collect();
    equal(&approaching, 1, 1499..1500, 3);
    // Distances beyond f32, and zeros of both signs.
    let extreme: Vec<f32> =
        (0..400).map(|_| [3e38, -3e38, 1e19, 1e-30, 0.0, -0.0, 1e-45][draw.below(7)]).collect();
    equal(&extreme, 2, 0..200, 9);
}

pub(crate) fn agrees_with_the_reference<B: Backend>(dev: &B) {
    check(60, any_case(), |(seed, n, d, k)| {
        let vectors_nd = clustered(seed, n, d);
        let (index_qk, dist2_qk) = search(dev, &vectors_nd, d, 0..n, k);
        for q in 0..n {
            let truth = reference::nearest_neighbors::sorted(&vectors_nd, d, q);
            for (i, &(dist2, row)) in truth.iter().take(k).enumerate() {
                let (ours, index) = (f64::from(dist2_qk[q * k + i]), index_qk[q * k + i] as usize);
                // d + 1 roundings of 6e-8 of positive terms, each difference rounded twice over: 33 dimensions.
                prop_assert!((ours - dist2).abs() <= 1e-5 * dist2, "{ours} for {dist2}");
                // Where the next ones are farther by more than that error, the row is the same.
                let gap = |other: Option<&(f64, usize)>| {
                    other.is_none_or(|&(other, _)| (other - dist2).abs() > 1e-5 * dist2)
                };
                let is_alone = gap(truth.get(i + 1)) && (i == 0 || gap(truth.get(i - 1)));
                prop_assert!(!is_alone || index == row, "query {q}: row {index} for {row}");
            }
        }
        Ok(())
    });
}

pub(crate) fn is_exact_to_the_bit<B: Backend>(dev: &B) {
    check(60, any_case(), |(seed, n, d, k)| {
        let vectors_nd = clustered(seed, n, d);
        let (index_qk, dist2_qk) = search(dev, &vectors_nd, d, 0..n, k);
        for q in 0..n {
            let truth = reference::nearest_neighbors::sorted_chain(&vectors_nd, d, q);
            for i in 0..k {
                let (dist2, row) = truth.get(i).copied().unwrap_or((0.0, NO_ROW as usize));
                let ours = (dist2_qk[q * k + i].to_bits(), index_qk[q * k + i] as usize);
                prop_assert_eq!(ours, (dist2.to_bits(), row), "query {}, neighbour {}", q, i);
            }
        }
        Ok(())
    });
}

pub(crate) fn equal_vectors_are_neighbours_at_zero_in_order_of_rows<B: Backend>(dev: &B) {
    let (n, d) = (200, 5);
    let vectors_nd: Vec<f32> = [0.1_f32, 0.7, -3.0, 1e-3, 42.0].repeat(n);
    let (index_qk, dist2_qk) = search(dev, &vectors_nd, d, 0..n, 3);
    assert!(dist2_qk.iter().all(|&dist2| dist2.to_bits() == 0));
    assert_eq!(index_qk[..12], [1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2]);
    assert_eq!(index_qk[199 * 3..], [0, 1, 2]);
}

pub(crate) fn some_queries_equal_all<B: Backend>(dev: &B) {
    let (n, d, k) = (300, 9, 7);
    let vectors_nd = clustered(5, n, d);
    let (index_qk, dist2_qk) = search(dev, &vectors_nd, d, 0..n, k);
    for queries in [0..1, 17..40, 250..300, 299..300, 120..120] {
        let (index, dist2) = search(dev, &vectors_nd, d, queries.clone(), k);
        assert_eq!(index, index_qk[queries.start * k..queries.end * k], "{queries:?}");
        assert_eq!(to_bits(&dist2), to_bits(&dist2_qk[queries.start * k..queries.end * k]), "{queries:?}");
    }
}

pub(crate) fn too_few_rows_leave_places_empty<B: Backend>(dev: &B) {
    let (index_qk, dist2_qk) = search(dev, &[0.0, 3.0, -1.0], 1, 0..3, 4);
    assert_eq!(index_qk, [2, 1, NO_ROW, NO_ROW, 0, 2, NO_ROW, NO_ROW, 0, 1, NO_ROW, NO_ROW]);
    assert_eq!(dist2_qk, [1.0, 9.0, 0.0, 0.0, 9.0, 16.0, 0.0, 0.0, 1.0, 16.0, 0.0, 0.0]);
    assert_eq!(search(dev, &[7.0], 1, 0..1, 2), (vec![NO_ROW; 2], vec![0.0; 2]));
    assert_eq!(search(dev, &[], 3, 0..0, 2), (vec![], vec![]));
}

pub(crate) fn distances_beyond_f32_are_no_neighbours<B: Backend>(dev: &B) {
    let (index_qk, dist2_qk) = search(dev, &[3e38, -3e38, 0.0, 1.0], 1, 0..4, 2);
    assert_eq!(index_qk, [NO_ROW, NO_ROW, NO_ROW, NO_ROW, 3, NO_ROW, 2, NO_ROW]);
    assert_eq!(dist2_qk, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
}

pub(crate) fn unit_vectors_turn_distance_into_cosine<B: Backend>(dev: &B) {
    let (n, d, k) = (40, 16, 5);
    let vectors_nd = clustered(6, n, d);
    let unit_nd = unit_vectors(&vectors_nd, d).expect("no vector is zero");
    let dot = |a: usize, b: usize| -> f64 {
        (0..d).map(|i| f64::from(vectors_nd[a * d + i]) * f64::from(vectors_nd[b * d + i])).sum()
    };
    let (index_qk, dist2_qk) = search(dev, &unit_nd, d, 0..n, k);
    for (i, (&row, &dist2)) in index_qk.iter().zip(&dist2_qk).enumerate() {
        let (q, row) = (i / k, row as usize);
        let cosine = dot(q, row) / (dot(q, q) * dot(row, row)).sqrt();
        // Two unit vectors of 16 numbers rounded to f32.
        assert!((0.5 * f64::from(dist2) - (1.0 - cosine)).abs() < 5e-7, "{q} {row}");
    }
    let message = unit_vectors(&[1.0, 2.0, 0.0, 0.0], 2).expect_err("a zero vector").to_string();
    assert!(message.contains("row 1 is a zero vector"), "{message}");
}

pub(crate) fn wrong_parameters_are_refused<B: Backend>(dev: &B) {
    let refused = |vectors_nd: &[f32], d, queries, k| {
        let vectors = dev.upload(vectors_nd).expect("the device has room");
        dev.nearest_neighbors(&vectors, d, queries, k).err().expect("refused")
    };
    assert!(matches!(refused(&[1.0; 7], 2, 0..3, 1), KernelError::Shape { .. }));
    assert!(matches!(refused(&[1.0; 6], 0, 0..3, 1), KernelError::Domain { .. }));
    assert!(matches!(refused(&[1.0; 6], 2, 0..4, 1), KernelError::Domain { .. }));
    for k in [0, 1025] {
        assert!(matches!(refused(&[1.0; 6], 2, 0..3, k), KernelError::Domain { .. }));
    }
    for garbage in [f32::NAN, f32::INFINITY] {
        let message = refused(&[1.0, 1.0, 1.0, garbage, 1.0, 1.0], 2, 0..1, 1).to_string();
        assert!(message.contains("row 1") && message.contains("column 1"), "{message}");
    }
}
