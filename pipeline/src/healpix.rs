//! Positions as nested HEALPix pixels at order 29 (Gorski et al. 2005, ApJ 622, 759).
//!
//! Step for step the SQL function `catalog.healpix29`, degrees and all, so that the lake and the database give a
//! position on the edge of two pixels to the same one.

/// Pixels along a side of a base pixel.
const NSIDE: i64 = 1 << 29;
const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

/// The pixel of a position in degrees; `None` where it is none.
pub(crate) fn pixel29(ra_deg: f64, dec_deg: f64) -> Option<i64> {
    if !(-90.0..=90.0).contains(&dec_deg) || !ra_deg.is_finite() {
        return None;
    }
    let z = sin_deg(dec_deg.abs()).copysign(dec_deg);
    let mut quarters = ra_deg / 90.0 - 4.0 * (ra_deg / 360.0).floor();
    if !(0.0..4.0).contains(&quarters) {
        // A longitude so little below 0 that it rounds to a full turn.
        quarters = 0.0;
    }
    let (face, x, y) =
        if z.abs() <= 2.0 / 3.0 { equatorial(z, quarters) } else { polar(z, dec_deg, quarters) };
    Some((face << 58) | spread_bits(x) | (spread_bits(y) << 1))
}

/// Face and place within it, between the polar caps.
fn equatorial(z: f64, quarters: f64) -> (i64, i64, i64) {
    let wide = side() * (0.5 + quarters);
    let high = side() * (z * 0.75);
    // Numbers of the ascending and of the descending edge line.
    let (rising, falling) = (floor(wide - high), floor(wide + high));
    let face = match (rising / NSIDE).cmp(&(falling / NSIDE)) {
        std::cmp::Ordering::Equal => (rising / NSIDE) | 4,
        std::cmp::Ordering::Less => rising / NSIDE,
        std::cmp::Ordering::Greater => falling / NSIDE + 8,
    };
    (face, falling % NSIDE, NSIDE - rising % NSIDE - 1)
}

/// Face and place within it, in a polar cap.
fn polar(z: f64, dec_deg: f64, quarters: f64) -> (i64, i64, i64) {
    let face = floor(quarters).min(3);
    let wide = quarters - quarters.floor().min(3.0);
    // sqrt(3 (1 - |z|)), which loses its digits near the poles.
    let high = if z.abs() < 0.99 {
        side() * (3.0 * (1.0 - z.abs())).sqrt()
    } else {
        side() * cos_deg(dec_deg.abs()) / ((1.0 + z.abs()) / 3.0).sqrt()
    };
    let rising = floor(wide * high).min(NSIDE - 1);
    let falling = floor((1.0 - wide) * high).min(NSIDE - 1);
    if z >= 0.0 { (face, NSIDE - falling - 1, NSIDE - rising - 1) } else { (face + 8, rising, falling) }
}

#[expect(clippy::cast_precision_loss, reason = "a power of two")]
fn side() -> f64 {
    NSIDE as f64
}

#[expect(clippy::cast_possible_truncation, reason = "at most five sides")]
fn floor(value: f64) -> i64 {
    value.floor() as i64
}

/// The bits of a number below 2^29, moved to the even places of one below 2^58.
fn spread_bits(n: i64) -> i64 {
    let v = (n | (n << 16)) & 0x0000_FFFF_0000_FFFF;
    let v = (v | (v << 8)) & 0x00FF_00FF_00FF_00FF;
    let v = (v | (v << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
    let v = (v | (v << 2)) & 0x3333_3333_3333_3333;
    (v | (v << 1)) & 0x5555_5555_5555_5555
}

/// The sine of 0 to 90 degrees as PostgreSQL's `sind`, exact at 0, 30 and 90.
fn sin_deg(x: f64) -> f64 {
    if x <= 30.0 { sin_to_30(x) } else { cos_to_60(90.0 - x) }
}

/// The cosine of 0 to 90 degrees as PostgreSQL's `cosd`.
fn cos_deg(x: f64) -> f64 {
    if x <= 60.0 { cos_to_60(x) } else { sin_to_30(90.0 - x) }
}

fn sin_to_30(x: f64) -> f64 {
    libm::sin(x * RADIANS_PER_DEGREE) / libm::sin(30.0 * RADIANS_PER_DEGREE) / 2.0
}

fn cos_to_60(x: f64) -> f64 {
    let versine = |x: f64| 1.0 - libm::cos(x * RADIANS_PER_DEGREE);
    1.0 - versine(x) / versine(60.0) / 2.0
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use arrow::datatypes::{Float64Type, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    /// Positions with healpy's pixel; see `data-samples/golden/make_healpix.py`.
    #[test]
    fn pixels_are_healpys() {
        let bytes = bytes::Bytes::from_static(include_bytes!("../../data-samples/golden/healpix29.parquet"));
        let mut n = 0;
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let real = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>();
            let pixel = batch.column_by_name("pixel").unwrap().as_primitive::<Int64Type>();
            for ((ra, dec), pixel) in real("ra").values().iter().zip(real("dec").values()).zip(pixel.values())
            {
                assert_eq!(pixel29(*ra, *dec), Some(*pixel), "{ra} {dec}");
                n += 1;
            }
        }
        assert!(n > 14_000, "{n}");
    }

    #[test]
    fn full_turns_change_no_pixel_and_impossible_positions_have_none() {
        let zero = pixel29(0.0, 10.5);
        assert!(zero.is_some());
        for ra in [360.0, -360.0, 720.0, -1e-300, -0.0] {
            assert_eq!(pixel29(ra, 10.5), zero, "{ra}");
        }
        for (ra, dec) in
            [(10.0, 90.001), (10.0, -91.0), (10.0, f64::NAN), (f64::NAN, 0.0), (f64::INFINITY, 0.0)]
        {
            assert_eq!(pixel29(ra, dec), None, "{ra} {dec}");
        }
    }
}
