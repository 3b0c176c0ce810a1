//! The lake's HEALPix numbers against the database's function.

use arrow::array::AsArray as _;
use arrow::datatypes::{Float64Type, Int64Type};

use super::TestDatabase;
use crate::catalog::run::{CatalogRun, toy_columns, toy_file};
use crate::fits_bytes::TestColumn;

/// Poles, edges of base pixels and of the polar caps, full turns, and places between them.
fn positions() -> Vec<[f64; 2]> {
    let edges = [0.0, 22.5, 45.0, 67.5, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0, 359.999_999_999, 360.0];
    let turns = [-45.0, -0.0, -1e-300, -1e-13, 405.0, 720.0];
    let cap = (2.0_f64 / 3.0).asin().to_degrees();
    let latitudes =
        [-90.0, -89.999_999_9, -cap, -30.0, -1e-12, 0.0, 30.0, cap, 45.0, 81.890_385, 89.999_999_9, 90.0];
    let mut positions: Vec<[f64; 2]> =
        edges.iter().chain(&turns).flat_map(|&ra| latitudes.iter().map(move |&dec| [ra, dec])).collect();
    // Knuth's MMIX generator.
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(seed >> 32).unwrap()) / f64::from(u32::MAX)
    };
    positions.extend((0..20_000).map(|_| [540.0 * next() - 180.0, (2.0 * next() - 1.0).asin().to_degrees()]));
    positions
}

#[test]
fn a_position_has_the_same_pixel_in_the_lake_and_in_the_database() {
    let Some(database) = TestDatabase::migrated() else { return };
    let positions = positions();
    let ids: Vec<i64> = (0..i64::try_from(positions.len()).unwrap()).collect();
    let mut columns = toy_columns(&ids);
    let part = |axis: usize| positions.iter().map(|position| position[axis]).collect::<Vec<f64>>();
    columns[1] = TestColumn::f64("RA", &part(0));
    columns[2] = TestColumn::f64("DEC", &part(1));
    let mut run = CatalogRun::new();
    run.toy(&toy_file(&columns));
    run.run(0);
    let rows = run.rows("catalog/toy/toy-iron-main/0");
    let degrees =
        |name: &str| rows.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
    let (ra, dec) = (degrees("ra"), degrees("dec"));
    let pixels = rows.column_by_name("healpix29").unwrap().as_primitive::<Int64Type>();
    let mut session = database.session();
    for first in (0..ra.len()).step_by(5000) {
        let last = (first + 5000).min(ra.len());
        let values: Vec<String> =
            (first..last).map(|i| format!("({i}, {:?}::float8, {:?}::float8)", ra[i], dec[i])).collect();
        let found = session.rows(&format!(
            "SELECT n, catalog.healpix29(ra, \"dec\") FROM (VALUES {}) v(n, ra, \"dec\") ORDER BY n",
            values.join(", ")
        ));
        for (row, i) in found.iter().zip(first..last) {
            assert_eq!(row[1], pixels.value(i).to_string(), "{} {}", ra[i], dec[i]);
        }
    }
}
