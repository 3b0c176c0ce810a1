//! Sky positions inside a nested HEALPix pixel (Górski et al. 2005, ApJ 622, 759).

/// Gathers every second bit of `value`, the lowest first.
fn every_second_bit(mut value: u64) -> u64 {
    let mut out = 0;
    let mut bit = 0;
    while value > 0 {
        out |= (value & 1) << bit;
        value >>= 2;
        bit += 1;
    }
    out
}

/// Right ascension and declination in degrees of the centre of a nested pixel.
///
/// `nside` is a power of two and `pixel` below 12 nside².
pub(crate) fn centre_deg(nside: u64, pixel: u64) -> (f64, f64) {
    const ROW: [i64; 12] = [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4];
    const COLUMN: [i64; 12] = [1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7];
    let per_face = nside * nside;
    let face = usize::try_from(pixel / per_face).unwrap_or(0) % 12;
    let within = pixel % per_face;
    let (x, y) = (every_second_bit(within), every_second_bit(within >> 1));
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let n = signed(nside);
    let ring = ROW[face] * n - signed(x) - signed(y) - 1;
    let (in_ring, z, shift) = if ring < n {
        (ring, 1.0 - (ring * ring) as f64 / (3 * n * n) as f64, 0)
    } else if ring > 3 * n {
        let south = 4 * n - ring;
        (south, -1.0 + (south * south) as f64 / (3 * n * n) as f64, 0)
    } else {
        (n, (2 * (2 * n - ring)) as f64 / (3 * n) as f64, (ring - n) & 1)
    };
    let mut position = (COLUMN[face] * in_ring + signed(x) - signed(y) + 1 + shift) / 2;
    if position > 4 * in_ring {
        position -= 4 * in_ring;
    }
    if position < 1 {
        position += 4 * in_ring;
    }
    let phi = (position as f64 - 0.5 * (1 + shift) as f64) * (std::f64::consts::FRAC_PI_2 / in_ring as f64);
    (phi.to_degrees(), libm::asin(z).to_degrees())
}

/// A position in a nested nside-64 pixel: the centre of the descendant 2^12 times smaller in area
/// that `fraction` in [0, 1) points at.
pub(crate) fn position_in_pixel_deg(pixel: u64, fraction: f64) -> (f64, f64) {
    const CHILDREN: u64 = 4096;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fraction lies in [0, 1)")]
    let child = ((fraction * CHILDREN as f64) as u64).min(CHILDREN - 1);
    centre_deg(64 * 64, pixel * CHILDREN + child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_pixel_centres_come_out() {
        // Pixel 26065 holds the DESI targets at RA 216.90, Dec 3.30 of the early data release.
        let (ra, dec) = centre_deg(64, 26065);
        assert!((ra - 216.9).abs() < 1.0 && (dec - 3.3).abs() < 1.0, "{ra} {dec}");
        // The first base pixel is centred at phi = 45 degrees, z = 2/3.
        let (ra, dec) = centre_deg(1, 0);
        assert!((ra - 45.0).abs() < 1e-12);
        assert!((dec - (2.0_f64 / 3.0).asin().to_degrees()).abs() < 1e-12);
    }
}
