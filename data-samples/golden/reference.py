"""The contracts of combining and moving spectra, stated in f64 NumPy.

What: `combine_arms` under the three mask rules, S/N per arm, extinction, the rest frame.
Why: desispec 0.70.0, the one version PyPI has, knows only the rule "0.70"; the two older rules need
a statement of their own, and the measurements need the spectra they are taken on.
Sources: desispec `coaddition.coadd_cameras` as released in 0.56.5 (rule "dr1"), 0.68.0 ("masked")
and 0.70.0 ("0.70"); desispec `specscore` (S/N); desispec `interpolation.resample_flux` and desiutil
`dust.dust_transmission`, which are called, not restated.
"""

from __future__ import annotations

import desispec.io
import numpy as np
from coadds import N_PIXELS, STEP_AA, WAVE_AA, Coadd
from desispec.coaddition import coadd_cameras
from desispec.interpolation import resample_flux
from desiutil.dust import dust_transmission

RULES = ("dr1", "masked", "0.70")
# FIBERSTATUS bits that make an arm unusable: BROKENFIBER, MISSINGPOSITION, BADPOSITION, BADFIBER,
# BADTRACE, BADARC, BADFLAT, MANYBADCOL, MANYREJECTED (desispec `get_all_nonamp_fiberbitmask_val`),
# and one amplifier bit per arm.
FATAL_BITS = sum(1 << bit for bit in (2, 8, 9, 16, 17, 18, 19, 20, 21))
AMPLIFIER_BIT = {"B": 1 << 22, "R": 1 << 23, "Z": 1 << 24}
# Half-open wavelength range of each arm's median S/N, Å (desispec `specscore`).
SNR_RANGE_AA = {"B": (4000.0, 5800.0), "R": (5800.0, 7600.0), "Z": (7600.0, 9800.0)}
# Rest grids: (first, last) in Å, in steps of 1e-4 in log10.
REST_RANGE_AA = {"QSO": (912.0, 7000.0), "GALAXY": (2400.0, 9800.0), "STAR": (3500.0, 9850.0)}
REST_DLOG10 = 1e-4


def combine_arms(coadd: Coadd, rule: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux, ivar (f64) and mask (uint32) on the combined grid, [row, 7781].

    A pixel's weight is its ivar: "dr1" and "masked" set it to 0 where the arm's mask is not 0 and
    leave out arms whose FIBERSTATUS is fatal; "masked" takes the plain ivar back where every weight
    of a pixel is 0. The mask is the OR over the arms taken, cleared where ivar > 0 ("0.70") or
    where a weight > 0 ("masked": a pixel that fell back keeps its mask); "dr1" copies the mask of
    a pixel that one arm of the file covers and clears that of a shared one. Flux is 0 where ivar
    is 0, except that "0.70" copies the flux of a pixel that one arm covers.
    """
    rows = len(coadd.targetid)
    weight, signal, plain, plain_signal = (np.zeros((rows, N_PIXELS)) for _ in range(4))
    mask = np.zeros((rows, N_PIXELS), np.uint32)
    covered = np.zeros(N_PIXELS, np.int64)
    for band, arm in coadd.arms.items():
        at = slice(arm.first, arm.first + arm.flux.shape[1])
        covered[at] += 1
        taken = np.ones((rows, 1), bool)
        if rule != "0.70":
            taken = ((coadd.fiberstatus & (FATAL_BITS | AMPLIFIER_BIT[band])) == 0)[:, None]
        ivar = arm.ivar * taken
        good = ivar if rule == "0.70" else ivar * (arm.mask == 0)
        weight[:, at] += good
        signal[:, at] += good * arm.flux
        plain[:, at] += ivar
        plain_signal[:, at] += ivar * arm.flux
        mask[:, at] |= np.where(taken, arm.mask, 0).astype(np.uint32)
    if rule == "dr1":
        mask[:, covered > 1] = 0
    else:
        mask[weight > 0] = 0
    if rule == "masked":
        lost = weight == 0
        weight[lost] = plain[lost]
        signal[lost] = plain_signal[lost]
    flux = np.divide(signal, weight, out=np.zeros_like(signal), where=weight > 0)
    if rule == "0.70":
        for arm in coadd.arms.values():
            at = np.arange(arm.first, arm.first + arm.flux.shape[1])
            lone = covered[at] == 1
            flux[:, at[lone]] = arm.flux[:, lone]
    return flux, weight, mask


def combine_by_desispec(coadd: Coadd) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """desispec's own combination (rule "0.70") on the 7781 grid; absent arms stay ivar 0."""
    spectra = desispec.io.read_spectra(str(coadd.path))
    for band, arm in coadd.arms.items():
        # One NaN pixel would spread or survive at ivar 0; our contract calls it missing.
        spectra.flux[band.lower()][:] = arm.flux
        spectra.ivar[band.lower()][:] = arm.ivar
    combined = coadd_cameras(spectra)
    band = combined.bands[0]
    at = np.rint((combined.wave[band] - WAVE_AA[0]) / STEP_AA).astype(int)
    shape = (len(coadd.targetid), N_PIXELS)
    flux, ivar, mask = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.uint32)
    ivar[:, at] = combined.ivar[band]
    flux[:, at] = combined.flux[band]
    if combined.mask is not None:
        mask[:, at] = combined.mask[band]
    return flux, ivar, mask


def median_snr(coadd: Coadd, band: str) -> np.ndarray:
    """Median of flux √ivar / √∇λ over the arm's range, ivar 0 counted as 0, before combining."""
    arm = coadd.arms[band]
    low, high = SNR_RANGE_AA[band]
    inside = (arm.wave >= low) & (arm.wave < high)
    snr = np.sqrt(arm.ivar) * arm.flux / np.sqrt(np.gradient(arm.wave))
    return np.median(snr[:, inside], axis=1)


def correct_extinction(flux: np.ndarray, ivar: np.ndarray, ebv: float | None):
    """Flux over transmission, ivar times its square; unchanged where E(B−V) is unknown."""
    if ebv is None:
        return flux, ivar
    transmission = dust_transmission(WAVE_AA, ebv)
    return flux / transmission, ivar * transmission**2


def rest_grid(kind: str) -> np.ndarray:
    """Bin centres of a class's rest grid, Å: every whole multiple of 1e-4 in log10 in its range."""
    # The small term takes in a limit that rounding puts just outside its own bin centre.
    first, last = np.log10(REST_RANGE_AA[kind]) / REST_DLOG10 + (-1e-6, 1e-6)
    return 10.0 ** (REST_DLOG10 * np.arange(int(np.ceil(first)), int(np.floor(last)) + 1))


def to_rest_frame(flux: np.ndarray, ivar: np.ndarray, z: float, grid_aa: np.ndarray):
    """Flux and ivar per rest Å on a rest grid, by desispec's own resampling."""
    out_flux, out_ivar = resample_flux(grid_aa, WAVE_AA / (1.0 + z), np.where(ivar > 0, flux, 0.0), ivar)
    return out_flux * (1.0 + z), out_ivar / (1.0 + z) ** 2
