"""Breaks, indices and line windows measured on one combined, extinction-corrected spectrum, in f64.

What: quantity → (value or None, ivar or None), named as the columns of `features/`.
Why: the ivar-weighted Dn(4000) is fastspecfit's own function; plain means, indices and line windows
have no reference code, so their contracts are stated here, sharing nothing with `kernels`. Errors
are the pixels' own variances through derivatives taken numerically from the value itself (a complex
step, exact to rounding), never through a formula that could repeat a mistake.
Sources: Balogh et al. 1999, Bruzual 1983 (breaks); fastspecfit 3.6.1 `Photometry.get_dn4000`;
Worthey et al. 1994 eqs. 1–3 (indices); Bolton et al. 2012 (direct line fluxes); Squire & Trapp 1998
(complex step).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coadds import STEP_AA, WAVE_AA
from fastspecfit.photometry import Photometry

# A break's bands, widened by this, must be observed and this well covered, as in fastspecfit.
BREAK_PAD_AA = 2.0
BREAK_GOOD = 0.9
# An index's bands must each be covered by good pixels to this share of their width.
INDEX_GOOD = 0.8
# A line's window and each of its sidebands, likewise.
WINDOW_GOOD = 0.8
SIDEBAND_GOOD = 0.5
# Far below one ulp of any flux, so the real part is untouched.
COMPLEX_STEP = 1e-100
# Fluxes moved at once: bounds the memory of wide windows.
BLOCK = 64
Bands = tuple[float, float]
Measured = tuple[float | None, float | None]
MISSING: Measured = (None, None)


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of one constants file; lines that start with # are comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def band_of(row: dict[str, str], name: str) -> Bands:
    """A rest-frame band of a constants row, Å."""
    return float(row[f"{name}_lo_aa"]), float(row[f"{name}_hi_aa"])


@dataclass
class Spectrum:
    """One observed spectrum and its redshift; bands are given in the rest frame."""

    flux: np.ndarray
    ivar: np.ndarray
    z: float

    def share(self, band: Bands) -> np.ndarray:
        """The fraction of each pixel inside a band, 0 to 1."""
        low, high = (edge * (1.0 + self.z) for edge in band)
        inner = np.minimum(WAVE_AA + STEP_AA / 2, high) - np.maximum(WAVE_AA - STEP_AA / 2, low)
        return np.clip(inner, 0.0, None) / STEP_AA

    def reaches(self, band: Bands) -> bool:
        """Whether the pixels reach over the whole band."""
        low, high = (edge * (1.0 + self.z) for edge in band)
        return low >= WAVE_AA[0] - STEP_AA / 2 and high <= WAVE_AA[-1] + STEP_AA / 2

    def good_share(self, band: Bands) -> float:
        """The share of a band's width that good pixels cover."""
        share = self.share(band)
        return float(share[self.ivar > 0].sum() / share.sum())

    def measured(self, pixels: np.ndarray, value: Callable[[np.ndarray], np.ndarray]) -> Measured:
        """A value and its ivar; `value` maps fluxes [..., pixel] to [...], `pixels` are its inputs."""
        used = np.flatnonzero(pixels & (self.ivar > 0))
        slope = np.empty(len(used))
        for start in range(0, len(used), BLOCK):
            pixels = used[start : start + BLOCK]
            moved = np.repeat(self.flux[None, :].astype(complex), len(pixels), axis=0)
            moved[np.arange(len(pixels)), pixels] += 1j * COMPLEX_STEP
            slope[start : start + BLOCK] = np.imag(value(moved)) / COMPLEX_STEP
        variance = float(np.sum(slope**2 / self.ivar[used]))
        result = float(np.real(value(self.flux[None, :].astype(complex)))[0])
        if not np.isfinite(result) or not np.isfinite(variance) or variance <= 0:
            return MISSING
        return result, 1.0 / variance


def mean_fnu(s: Spectrum, band: Bands) -> np.ndarray:
    """Coefficients of the plain mean f_ν (∝ λ² f_λ) over the good pixels of a band."""
    weight = s.share(band) * (s.ivar > 0)
    return weight * WAVE_AA**2 / weight.sum()


def padded_pixels(s: Spectrum, band: Bands) -> np.ndarray:
    """Pixels whose centres lie strictly inside a break's padded band."""
    rest = WAVE_AA / (1.0 + s.z)
    return (rest > band[0] - BREAK_PAD_AA) & (rest < band[1] + BREAK_PAD_AA)


def break_covered(s: Spectrum, band: Bands) -> bool:
    """Whether a break's band is observed, padding included, and good enough."""
    rest = WAVE_AA / (1.0 + s.z)
    if rest[0] > band[0] - BREAK_PAD_AA or rest[-1] < band[1] + BREAK_PAD_AA:
        return False
    return bool((s.ivar[padded_pixels(s, band)] > 0).mean() >= BREAK_GOOD)


def plain_break(s: Spectrum, blue: Bands, red: Bands) -> Measured:
    """Ratio of the unweighted mean f_ν in the red band to that in the blue one."""
    if not (break_covered(s, blue) and break_covered(s, red)):
        return MISSING
    below, above = mean_fnu(s, blue), mean_fnu(s, red)
    if s.flux @ below <= 0:
        return MISSING
    return s.measured((below > 0) | (above > 0), lambda flux: (flux @ above) / (flux @ below))


def weighted_dn4000(s: Spectrum, blue: Bands, red: Bands) -> Measured:
    """fastspecfit's ivar-weighted Dn(4000); its errors leave out the pixel width, ours do not."""

    def value(flux_p: np.ndarray) -> complex:
        return Photometry.get_dn4000(WAVE_AA, flux_p, flam_ivar=s.ivar, redshift=s.z, rest=False)[0]

    if not (break_covered(s, blue) and break_covered(s, red)):
        return MISSING
    # Raising the red band raises the ratio only where the blue mean, which divides, is positive.
    raised = s.flux + 1j * COMPLEX_STEP * padded_pixels(s, red) * ~padded_pixels(s, blue)
    if np.imag(value(raised)) <= 0:
        return MISSING
    pixels = padded_pixels(s, blue) | padded_pixels(s, red)
    return s.measured(pixels, lambda flux: np.array([value(row) for row in flux]))


def index(s: Spectrum, row: dict[str, str]) -> Measured:
    """Lick index: Å for an atomic one, magnitudes for a molecular one; > 0 for absorption."""
    bands = [band_of(row, name) for name in ("band", "blue", "red")]
    if not all(s.reaches(band) for band in bands):
        return MISSING
    if min(s.good_share(band) for band in bands) < INDEX_GOOD:
        return MISSING
    weights = [s.share(band) * (s.ivar > 0) for band in bands]
    inside, blue, red = (weight / weight.sum() for weight in weights)
    middle_blue, middle_red = ((1.0 + s.z) * (low + high) / 2 for low, high in bands[1:])
    t = (WAVE_AA - middle_blue) / (middle_red - middle_blue)
    used = np.flatnonzero(weights[0])

    def pseudo_continuum(flux: np.ndarray) -> np.ndarray:
        below, above = (flux @ blue)[:, None], (flux @ red)[:, None]
        return below + (above - below) * t[used]

    def value(flux: np.ndarray) -> np.ndarray:
        ratio = (flux[:, used] / pseudo_continuum(flux)) @ inside[used]
        if row["type"] == "mag":
            return -2.5 * np.log10(ratio)
        return (bands[0][1] - bands[0][0]) * (1.0 - ratio)

    levels = np.append(pseudo_continuum(s.flux[None, :]), [s.flux @ blue, s.flux @ red])
    if levels.min() <= 0:
        return MISSING
    if row["type"] == "mag" and s.flux[used] @ (inside[used] / pseudo_continuum(s.flux[None, :])[0]) <= 0:
        return MISSING
    return s.measured(weights[0] + weights[1] + weights[2] > 0, value)


def continuum_matrix(s: Spectrum, blue: Bands, red: Bands, x: np.ndarray) -> np.ndarray:
    """Maps a spectrum to (θ₀, θ₁), the ivar-weighted straight line in x through both sidebands."""
    weight = (s.share(blue) + s.share(red)) * s.ivar
    design = np.stack([np.ones_like(x), x])
    return np.linalg.solve((design * weight) @ design.T, design * weight)


def bridged_share(s: Spectrum, window: Bands) -> np.ndarray:
    """Weight of each good pixel in the sum over a window whose missing pixels are interpolated."""
    share = s.share(window)
    inside = np.flatnonzero(share)
    good = inside[s.ivar[inside] > 0]
    weight = np.zeros_like(share)
    for k, pixel in enumerate(good):
        weight[pixel] = share[inside] @ np.interp(inside, good, np.eye(len(good))[k])
    return weight


def line(s: Spectrum, row: dict[str, str]) -> dict[str, Measured]:
    """Flux, equivalent width and continuum of one line window; > 0 for emission."""
    name = row["name"]
    missing = {f"{name}_{what}": MISSING for what in ("flux", "ew", "cont")}
    window, blue, red = (band_of(row, band) for band in ("window", "blue", "red"))
    if row["group"] or not all(s.reaches(band) for band in (window, blue, red)):
        return missing
    if s.good_share(window) < WINDOW_GOOD or min(map(s.good_share, (blue, red))) < SIDEBAND_GOOD:
        return missing
    stretch = 1.0 + s.z
    origin = stretch * sum(window) / 2
    x = (WAVE_AA - origin) / STEP_AA
    x_line = (stretch * float(row["wave_vac_aa"]) - origin) / STEP_AA
    to_theta = continuum_matrix(s, blue, red, x)
    weight = bridged_share(s, window)
    # Flux and continuum are linear in the pixels: both are dot products.
    to_flux = STEP_AA * (weight - weight.sum() * to_theta[0] - (weight @ x) * to_theta[1])
    to_continuum = to_theta[0] + x_line * to_theta[1]
    pixels = (to_flux != 0) | (to_continuum != 0)
    measured = {
        f"{name}_flux": s.measured(pixels, lambda flux: flux @ to_flux),
        f"{name}_ew": MISSING,
        f"{name}_cont": s.measured(pixels, lambda flux: flux @ to_continuum),
    }
    if s.flux @ to_continuum > 0:
        measured[f"{name}_ew"] = s.measured(
            pixels, lambda flux: (flux @ to_flux) / (flux @ to_continuum) / stretch
        )
    return measured


def features(s: Spectrum, constants: Path) -> dict[str, Measured]:
    """Every quantity that is measured on one spectrum."""
    measured = {}
    for row in read_table(constants / "breaks.csv"):
        bands = band_of(row, "blue"), band_of(row, "red")
        measured[row["name"]] = plain_break(s, *bands)
        if row["name"] == "dn4000":
            measured["dn4000_w"] = weighted_dn4000(s, *bands)
    for row in read_table(constants / "indices.csv"):
        measured[row["name"]] = index(s, row)
    for row in read_table(constants / "lines.csv"):
        measured |= line(s, row)
    return measured
