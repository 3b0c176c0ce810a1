//! Positions on the sky: pixels against healpy's, cones against every distance.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};

use super::{Session, TestDatabase};
use crate::run_folder::read_parquet;

/// Positions with healpy's pixel at order 29; see `data-samples/golden/make_healpix.py`.
fn golden() -> (Vec<[f64; 2]>, Vec<i64>) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (batch, _) = read_parquet(&project.join("data-samples/golden/healpix29.parquet"));
    let column =
        |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
    let positions = column("ra").into_iter().zip(column("dec")).map(|(ra, dec)| [ra, dec]).collect();
    (positions, batch.column_by_name("pixel").unwrap().as_primitive::<Int64Type>().values().to_vec())
}

fn values(positions: &[[f64; 2]]) -> String {
    let rows: Vec<String> = positions
        .iter()
        .enumerate()
        .map(|(n, [ra, dec])| format!("({n}, {ra:?}, {dec:?}::float8)"))
        .collect();
    rows.join(", ")
}

#[test]
fn pixels_are_healpys() {
    let Some(database) = TestDatabase::migrated() else { return };
    let (positions, pixels) = golden();
    assert!(positions.len() > 14_000);
    let rows = database.session().rows(&format!(
        "SELECT n, catalog.healpix29(ra, \"dec\") FROM (VALUES {}) v(n, ra, \"dec\") ORDER BY n",
        values(&positions)
    ));
    for ((row, pixel), position) in rows.iter().zip(&pixels).zip(&positions) {
        assert_eq!(row[1], pixel.to_string(), "{position:?}");
    }
}

#[test]
fn full_turns_change_no_pixel_and_impossible_positions_have_none() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    let pixel = |session: &mut Session, ra: &str, dec: &str| {
        session.value(&format!("SELECT catalog.healpix29({ra}, {dec})"))
    };
    let zero = pixel(&mut session, "0", "10.5");
    for ra in ["360", "-360", "720", "-1e-300", "-0.0"] {
        assert_eq!(pixel(&mut session, ra, "10.5"), zero, "{ra}");
    }
    for (ra, dec) in [
        ("10", "90.001"),
        ("10", "-91"),
        ("10", "'NaN'"),
        ("'NaN'", "0"),
        ("'Infinity'", "0"),
        ("NULL", "0"),
        ("0", "NULL"),
    ] {
        assert_eq!(pixel(&mut session, ra, dec), "", "{ra} {dec}");
    }
}

/// Great-circle distance, deg: by cross and dot product, unlike the database's haversine.
fn distance_deg(a: [f64; 2], b: [f64; 2]) -> f64 {
    let vector = |[ra, dec]: [f64; 2]| {
        let (sin_ra, cos_ra) = ra.to_radians().sin_cos();
        let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
        [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
    };
    let (a, b) = (vector(a), vector(b));
    let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let norm = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    norm(cross).atan2(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]).to_degrees()
}

/// The position at a distance and an angle from another.
fn offset([ra, dec]: [f64; 2], distance_deg: f64, angle: f64) -> [f64; 2] {
    let (sin_d, cos_d) = distance_deg.to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
    let sin_new = (sin_dec * cos_d + cos_dec * sin_d * angle.cos()).clamp(-1.0, 1.0);
    let east = (angle.sin() * sin_d).atan2(cos_dec * cos_d - sin_dec * sin_d * angle.cos());
    [(ra + east.to_degrees()).rem_euclid(360.0), sin_new.asin().to_degrees()]
}

const RADII_DEG: [f64; 7] = [1e-4, 1e-3, 0.01, 0.1, 1.0, 6.0, 30.0];

/// Poles, the meridian, a corner and an edge of faces, and anywhere.
fn centres(positions: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut centres = vec![
        [0.0, 90.0],
        [123.0, -90.0],
        [77.0, 89.999_95],
        [0.0, 0.0],
        [360.0, 33.0],
        [359.999_99, -20.0],
        [45.0, 41.810_314_895_778_6],
        [90.0, 0.0],
        [180.0, -66.0],
    ];
    centres.extend(positions.iter().step_by(999).take(12));
    centres
}

/// Rows of features at positions, numbered by their TARGETID.
fn fill(session: &mut Session, positions: &[[f64; 2]]) {
    for (chunk, part) in positions.chunks(5000).enumerate() {
        session.run(&format!(
            "INSERT INTO spectra.features (unit, targetid, \"row\", state, specprod, flags, n_good_pixels, \
             n_masked_pixels, n_bad_pixels, stage_hash, ra, \"dec\") \
             SELECT 'u', n + {}, n, 'done', 'iron', 0, 1, 0, 0, 'h', ra, \"dec\" FROM (VALUES {}) v(n, ra, \"dec\")",
            chunk * 5000,
            values(part)
        ));
    }
    session.run("CREATE INDEX features_healpix29 ON spectra.features (healpix29); ANALYZE spectra.features");
}

#[test]
fn a_cone_holds_what_every_distance_says() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut positions = golden().0;
    let centres = centres(&positions);
    for (n, centre) in centres.iter().enumerate() {
        for radius in RADII_DEG {
            // Inside, at the rim and outside, all around.
            let around = (0..24_u8).map(f64::from);
            let at = |k: f64| radius * (0.05 + k / 20.0).min(1.3);
            positions.extend(
                around.map(|k| offset(*centre, at(k), 2.4 * k + f64::from(u8::try_from(n).unwrap()))),
            );
        }
    }
    let mut session = database.session();
    fill(&mut session, &positions);
    for centre in &centres {
        for radius in RADII_DEG {
            let [ra, dec] = centre;
            let rows = session.rows(&format!(
                "SELECT (c.features).targetid, c.distance FROM spectra.cone({ra:?}, {dec:?}, {radius:?}) c"
            ));
            let found: BTreeSet<usize> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
            assert_eq!(found.len(), rows.len(), "each row once");
            let mut inside = 0;
            for (n, position) in positions.iter().enumerate() {
                let distance = distance_deg(*centre, *position);
                // Nearer to the rim than this, rounding decides: 1e-9 deg is 4 microarcseconds.
                if (distance - radius).abs() > 1e-9 {
                    let is_inside = distance < radius;
                    assert_eq!(
                        found.contains(&n),
                        is_inside,
                        "{position:?} from {centre:?} within {radius}: {distance}"
                    );
                    inside += usize::from(is_inside);
                }
            }
            assert!(inside >= 15, "{inside} positions within {radius} of {centre:?}");
            for row in rows.iter().take(20) {
                let stated: f64 = row[1].parse().unwrap();
                let position = positions[row[0].parse::<usize>().unwrap()];
                assert!((stated - distance_deg(*centre, position)).abs() < 1e-9, "{row:?}");
            }
        }
    }
}

#[test]
fn ranges_are_apart_in_order_and_not_much_larger_than_the_cone() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    for [ra, dec] in centres(&golden().0) {
        for radius in RADII_DEG {
            let rows =
                session.rows(&format!("SELECT lo, hi FROM catalog.cone_ranges({ra:?}, {dec:?}, {radius:?})"));
            let ranges: Vec<[i64; 2]> =
                rows.iter().map(|row| [row[0].parse().unwrap(), row[1].parse().unwrap()]).collect();
            assert!((1..=80).contains(&ranges.len()), "{} ranges", ranges.len());
            assert!(ranges.iter().all(|[lo, hi]| lo <= hi));
            assert!(ranges.windows(2).all(|pair| pair[0][1] + 1 < pair[1][0]), "{ranges:?}");
        }
    }
    let share = "SELECT sum(hi - lo + 1) / (12.0 * (1::bigint << 58)) / ((1 - cosd(5)) / 2) FROM catalog.cone_ranges(20, 60, 5)";
    let share: f64 = session.value(share).parse().unwrap();
    assert!((1.0..1.7).contains(&share), "{share} times the cone");
    for (dec, radius) in [("91", "1"), ("0", "-1"), ("0", "181"), ("0", "'NaN'")] {
        let refused = session.refused(&format!("SELECT * FROM catalog.cone_ranges(0, {dec}, {radius})"));
        assert!(refused.starts_with("22023: "), "{refused}");
    }
}

#[test]
fn a_cone_is_searched_in_the_b_tree() {
    let Some(database) = TestDatabase::migrated() else { return };
    let mut session = database.session();
    fill(&mut session, &golden().0);
    let plan = session.rows(
        "EXPLAIN SELECT r.lo, f.targetid FROM (SELECT * FROM catalog.cone_ranges(150, 2, 0.5) LIMIT 1) r, \
         LATERAL (SELECT targetid FROM spectra.features WHERE healpix29 BETWEEN r.lo AND r.hi) f",
    );
    assert!(plan.concat().concat().contains("features_healpix29"), "{plan:?}");
    let scans = "SELECT coalesce(sum(idx_scan), 0)::bigint || ' ' || (SELECT seq_scan FROM pg_stat_user_tables \
                 WHERE relid = 'spectra.features'::regclass) FROM pg_stat_user_indexes WHERE indexrelname = 'features_healpix29'";
    let counts = |session: &mut Session| -> Vec<u64> {
        session.run("SELECT pg_stat_force_next_flush()");
        session.value(scans).split(' ').map(|text| text.parse().unwrap()).collect()
    };
    let before = counts(&mut session);
    session.run("SELECT count(*) FROM spectra.cone(150, 2, 0.5)");
    let after = counts(&mut session);
    assert!(after[0] > before[0], "{before:?} {after:?}");
    assert_eq!(after[1], before[1], "no scan of the whole table");
}
