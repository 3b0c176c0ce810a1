//! What an index will cost before it is built: bytes on disk, memory while building, seconds.

use crate::config::{Index, IndexMethod, IndexPrecision};

/// PostgreSQL's page, and what is left of it beside headers and pgvector's own end mark.
const PAGE: f64 = 8192.0;
const PAGE_USABLE: f64 = 8160.0;

/// What is indexed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    pub(super) rows: u64,
    pub(super) dimension: u32,
}

/// The cost of an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// Size on disk.
    pub(super) disk_bytes: f64,
    /// `maintenance_work_mem` with which it is built in one go.
    pub(super) memory_bytes: f64,
}

fn vector_bytes(precision: IndexPrecision, dimension: u32) -> f64 {
    let element = match precision {
        IndexPrecision::Vector => 4.0,
        IndexPrecision::Halfvec => 2.0,
    };
    8.0 + element * f64::from(dimension)
}

fn align(bytes: f64) -> f64 {
    (bytes / 8.0).ceil() * 8.0
}

/// The cost of an index under some settings.
///
/// HNSW on disk: each row has an element of 72 bytes and its vector, and links of 6 bytes, 2m on the lowest layer
/// and m on each higher one, which one row in m reaches; both with a line pointer, as many rows as a page holds
/// whole. In memory: 200 bytes, the vector, and 16 bytes a link. Held against pgvector 0.8.5 over m of 8, 16, 32 and
/// 10 and 64 dimensions in both precisions: within 5 %.
///
/// IVFFlat: a tuple of 8 bytes and the vector with its line pointer; while building, the sample for the centres.
pub(super) fn cost(settings: &Index, load: Load) -> Cost {
    let rows = load.rows as f64;
    let vector = vector_bytes(settings.precision, load.dimension);
    match settings.method {
        IndexMethod::Hnsw => {
            let m = f64::from(settings.m);
            let links = 4.0 + 12.0 * m + 6.0 * m / (m - 1.0).max(1.0);
            let row = align(72.0 + vector) + links + 8.0;
            let per_page = (PAGE_USABLE / row).floor();
            // A row larger than a page's half leaves room that nothing fills.
            let disk = if per_page >= 1.0 { PAGE / per_page } else { PAGE * (row / PAGE_USABLE).ceil() };
            Cost { disk_bytes: rows * disk, memory_bytes: rows * (200.0 + vector + 32.0 * m) }
        }
        IndexMethod::Ivfflat => {
            let lists = f64::from(lists(load.rows));
            let per_page = (PAGE_USABLE / (align(8.0 + vector) + 4.0)).floor().max(1.0);
            // Each list ends in a page that is half full on average.
            let disk = rows * PAGE / per_page + lists * PAGE / 2.0;
            let sample = (50.0 * lists).max(10_000.0).min(rows);
            // k-means keeps bounds between every sample and every centre.
            Cost { disk_bytes: disk, memory_bytes: sample * (vector + 4.0 * lists) }
        }
    }
}

/// pgvector's advice: a list for every thousand rows up to a million, the root of the rows above.
pub(super) fn lists(rows: u64) -> u32 {
    let root = (rows as f64).sqrt();
    let lists = if rows <= 1_000_000 { rows / 1000 } else { to_u64(root) };
    u32::try_from(lists.clamp(10, 32_768)).unwrap_or(32_768)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the root of a u64 fits")]
fn to_u64(value: f64) -> u64 {
    value as u64
}

/// Seconds of the whole build from those of a probe over `probe_rows`: each row is inserted by searching a graph
/// whose depth grows with the logarithm of its size.
pub(super) fn seconds(probe_seconds: f64, probe_rows: u64, rows: u64, workers: u32) -> f64 {
    let depth = |rows: u64| (rows.max(2) as f64).ln();
    let one = probe_seconds * (rows as f64 / probe_rows.max(1) as f64) * depth(rows) / depth(probe_rows);
    // The leader builds too.
    one / f64::from(workers + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(m: u16, precision: IndexPrecision) -> Index {
        Index { m, precision, ..Index::default() }
    }

    #[test]
    fn predictions_are_those_of_builds_that_were_measured() {
        use IndexPrecision::{Halfvec, Vector};
        // Bytes a row on disk over 20,000 uniform vectors; 6 MiB over the rows at which the graph no longer fitted.
        // pgvector 0.8.5, PostgreSQL 16.14.
        for (dimension, m, precision, disk, fitted) in [
            (64, 8, Vector, 467.8, 8774.0),
            (64, 8, Halfvec, 334.6, 10657.0),
            (64, 16, Vector, 569.8, 6475.0),
            (64, 16, Halfvec, 435.0, 7461.0),
            (64, 32, Vector, 766.0, 4248.0),
            (64, 32, Halfvec, 634.1, 4642.0),
            (10, 8, Vector, 244.1, 12536.0),
            (10, 8, Halfvec, 227.3, 12937.0),
            (10, 16, Vector, 343.2, 8321.0),
            (10, 16, Halfvec, 327.3, 8518.0),
            (10, 32, Vector, 550.1, 4971.0),
        ] {
            let cost = cost(&settings(m, precision), Load { rows: 1000, dimension });
            let memory = f64::from(6 << 20) / fitted;
            let (disk_ratio, memory_ratio) =
                (cost.disk_bytes / 1000.0 / disk, cost.memory_bytes / 1000.0 / memory);
            // How rows of several heights share pages is not modelled.
            assert!((0.95..1.05).contains(&disk_ratio), "{dimension} {m} {precision:?}: disk {disk_ratio}");
            assert!(
                (0.95..1.05).contains(&memory_ratio),
                "{dimension} {m} {precision:?}: memory {memory_ratio}"
            );
        }
    }

    #[test]
    fn lists_follow_the_rows() {
        assert_eq!([lists(0), lists(20_000), lists(1_000_000), lists(4_000_000)], [10, 20, 1000, 2000]);
    }

    #[test]
    fn more_rows_and_fewer_workers_take_longer() {
        let of = |rows, workers| seconds(0.1, 2000, rows, workers);
        assert!((of(2000, 0) - 0.1).abs() < 1e-12);
        assert!(of(4000, 0) > 0.2);
        assert!(of(4000, 1) < of(4000, 0));
    }
}
