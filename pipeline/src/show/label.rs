//! Names on the picture: how they are written, and how they keep out of each other's way.

/// A name with its Greek letters.
pub(super) fn greek(name: &str) -> String {
    let letters = [("alpha", "α"), ("beta", "β"), ("gamma", "γ"), ("delta", "δ"), ("epsilon", "ε")];
    let name = name.split(" (").next().unwrap_or(name);
    letters.iter().fold(name.to_owned(), |name, (word, letter)| name.replace(word, letter))
}

/// Places as near to the wanted ones as a least distance between neighbours allows, within limits.
///
/// The sum of squared shifts is least: neighbours that touch move together (pool adjacent
/// violators, Barlow et al. 1972). `wanted` ascends.
pub(super) fn spread(wanted: &[f64], distance: f64, (lo, hi): (f64, f64)) -> Vec<f64> {
    let offset = |i: usize| distance * count(i);
    // Pools of neighbours that touch: (sum of their places without the distances, how many).
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (i, place) in wanted.iter().enumerate() {
        pools.push((place - offset(i), 1));
        while let [.., (left, n), (right, m)] = pools.as_slice()
            && left * count(*m) > right * count(*n)
        {
            let merged = (left + right, n + m);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    let last = hi - offset(wanted.len().saturating_sub(1));
    let bases = pools.iter().flat_map(|(sum, n)| std::iter::repeat_n(sum / count(*n), *n));
    bases.enumerate().map(|(i, base)| base.min(last).max(lo) + offset(i)).collect()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The lowest row for each interval on which it touches no earlier one, and the number of rows.
pub(super) fn rows(intervals: &[(f64, f64)], gap: f64) -> (Vec<usize>, usize) {
    let mut ends: Vec<f64> = Vec::new();
    let mut chosen = Vec::with_capacity(intervals.len());
    for (begin, end) in intervals {
        let row = ends.iter().position(|last| last + gap <= *begin).unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(*end);
        } else {
            ends[row] = *end;
        }
        chosen.push(row);
    }
    (chosen, ends.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_greek_without_their_remarks() {
        assert_eq!(greek("Halpha + [NII] 6550,6585"), "Hα + [NII] 6550,6585");
        assert_eq!(greek("HdeltaA"), "HδA");
        assert_eq!(greek("H6 3890 (with HeI 3890)"), "H6 3890");
    }

    #[test]
    fn labels_with_room_stay_where_they_belong() {
        assert_eq!(spread(&[10.0, 40.0, 90.0], 15.0, (0.0, 100.0)), [10.0, 40.0, 90.0]);
    }

    #[test]
    fn crowded_labels_share_the_shift_and_keep_their_distance() {
        assert_eq!(spread(&[50.0, 50.0, 50.0], 10.0, (0.0, 100.0)), [40.0, 50.0, 60.0]);
        assert_eq!(spread(&[98.0, 99.0], 10.0, (0.0, 100.0)), [90.0, 100.0]);
        assert_eq!(spread(&[], 10.0, (0.0, 100.0)), Vec::<f64>::new());
    }

    #[test]
    fn intervals_that_overlap_stand_on_different_rows() {
        let (rows, count) = rows(&[(0.0, 10.0), (5.0, 15.0), (11.0, 20.0)], 1.0);
        assert_eq!((rows, count), (vec![0, 1, 0], 2));
    }
}
