"""Rates of the Python peers on coadds, one thread: read, combine, rebin, measure.

What: JSON with spectra/s and MB/s of fitsio and desispec (FLUX + IVAR + MASK, RESOLUTION never
touched), NumPy combination (rule "masked", f32 and f64), both in one, and desispec, redrock and
fastspecfit functions on the rows of one file, the slow ones on a few of them.
Why: speed is quoted as a ratio to the best a user could run instead, on the same files and cores.
Sources: fitsio, desispec `read_spectra`, `coadd_cameras`, `resample_flux` and `get_emlines`,
redrock `trapz_rebin`, fastspecfit `Photometry.get_dn4000`, in the versions of requirements.txt.

    python spectra.py FOLDER --repeat 5 --few 32

`spectra_rates` takes our rates on the same rows at the same redshifts.

Files must have the three DESI arms with MASK, as coadds and simulated benchmarks do.

Two NumPy combinations are timed: `sums` forms weights and sums on every pixel; `blocks` copies what
only one arm covers (the rule leaves it as it is) and sums in the overlaps alone. Quote the faster.
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
# Exported by some environments; they halve every NumPy peer.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

# ruff: noqa: E402
import argparse
import json
import logging
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fitsio
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data-samples" / "golden"))
from coadds import BANDS, N_PIXELS, WAVE_AA, assert_versions, find_coadds, pinned_versions

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ARM_LAYOUT = {"B": (0, 2751), "R": (2700, 2326), "Z": (4900, 2881)}
LONE = {"B": (0, 2700), "R": (2751, 4900), "Z": (5026, N_PIXELS)}
SHARED = (("B", "R", 2700, 2751), ("R", "Z", 4900, 5026))
# Of a file's row r: r times this.
REDSHIFT_STEP = 1e-3
BATCH_ROWS = 64
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
Arms = dict[str, Arrays]


def read_fitsio(path: Path) -> Arms:
    """FLUX, IVAR and MASK of the arms, each HDU in one call on one open file."""
    with fitsio.FITS(str(path)) as fits:
        return {
            b: (fits[f"{b}_FLUX"].read(), fits[f"{b}_IVAR"].read(), fits[f"{b}_MASK"].read()) for b in BANDS
        }


def read_fitsio_rows(path: Path) -> int:
    """The same a few rows at a time, as our program does; the number of rows."""
    with fitsio.FITS(str(path)) as fits:
        images = [fits[f"{b}_{name}"] for b in BANDS for name in ("FLUX", "IVAR", "MASK")]
        rows = images[0].get_dims()[0]
        for first in range(0, rows, BATCH_ROWS):
            for image in images:
                image[first : min(first + BATCH_ROWS, rows), :]
    return rows


def empty_output(arms: Arms, dtype: type) -> Arrays:
    """Flux, ivar and mask [row, 7781], made once: fresh pages would cost as much as the sums."""
    shape = (len(arms["B"][0]), N_PIXELS)
    return np.ones(shape, dtype), np.ones(shape, dtype), np.ones(shape, np.uint32)


def combine_sums(arms: Arms, out: Arrays) -> None:
    """Rule "masked" with weights and sums on every pixel."""
    signal, weight, mask = out
    for array in out:
        array.fill(0)
    plain, plain_signal = np.zeros_like(weight), np.zeros_like(signal)
    for band, (flux, ivar, arm_mask) in arms.items():
        first, width = ARM_LAYOUT[band]
        at = slice(first, first + width)
        flux, ivar = flux.astype(signal.dtype, copy=False), ivar.astype(signal.dtype, copy=False)
        good = ivar * (arm_mask == 0)
        weight[:, at] += good
        signal[:, at] += good * flux
        plain[:, at] += ivar
        plain_signal[:, at] += ivar * flux
        mask[:, at] |= arm_mask.view(np.uint32)
    mask[weight > 0] = 0
    lost = weight == 0
    weight[lost], signal[lost] = plain[lost], plain_signal[lost]
    np.divide(signal, weight, out=signal, where=weight > 0)


def combine_blocks(arms: Arms, out: Arrays) -> None:
    """Rule "masked", copying the pixels of one arm and summing in the overlaps alone."""
    out_flux, out_ivar, out_mask = out
    for band, (low, high) in LONE.items():
        flux, ivar, mask = pixels_of(arms, band, low, high)
        out_ivar[:, low:high] = ivar
        np.multiply(flux, ivar > 0, out=out_flux[:, low:high])
        out_mask[:, low:high] = mask
    for left, right, low, high in SHARED:
        f1, w1, m1 = pixels_of(arms, left, low, high)
        f2, w2, m2 = pixels_of(arms, right, low, high)
        w1, w2 = w1.astype(out_ivar.dtype, copy=False), w2.astype(out_ivar.dtype, copy=False)
        good1, good2 = w1 * (m1 == 0), w2 * (m2 == 0)
        lost = good1 + good2 == 0
        out_mask[:, low:high] = np.where(lost, m1 | m2, 0)
        good1, good2 = np.where(lost, w1, good1), np.where(lost, w2, good2)
        total = good1 + good2
        out_ivar[:, low:high] = total
        mean = np.zeros_like(total)
        np.divide(good1 * f1 + good2 * f2, total, out=mean, where=total > 0)
        out_flux[:, low:high] = mean


def pixels_of(arms: Arms, band: str, low: int, high: int) -> tuple[np.ndarray, ...]:
    """An arm's arrays between two pixels of the combined grid."""
    first = ARM_LAYOUT[band][0]
    return tuple(array[:, low - first : high - first] for array in arms[band])


def batches(arms: Arms, out: Arrays) -> list[tuple[Arms, Arrays]]:
    """As many rows at a time as our program takes: they stay in the caches, and NumPy is the faster for it."""
    rows = [slice(first, first + BATCH_ROWS) for first in range(0, len(out[0]), BATCH_ROWS)]
    return [
        ({b: tuple(a[at] for a in arrays) for b, arrays in arms.items()}, tuple(a[at] for a in out)) for at in rows
    ]


def timed(parts: list[Callable[[], object]], repeat: int, *, at_hand: bool = False) -> float:
    """Wall seconds of all parts, each at its best of `repeat` passes after one that warms caches and compilers.

    `at_hand`: each part is run once more, untimed, before it is timed, so that its input lies in the caches.
    """
    best = [float("inf")] * len(parts)
    for turn in range(repeat + 1):
        for i, part in enumerate(parts):
            if at_hand:
                part()
            start = time.perf_counter()
            part()
            if turn > 0:
                best[i] = min(best[i], time.perf_counter() - start)
    return sum(best)


def rate(seconds: float, spectra: int, megabytes: float | None = None) -> dict:
    """Seconds as rates."""
    report = {"spectra": spectra, "best_s": seconds, "spectra_per_s": spectra / seconds}
    if megabytes is not None:
        report["mb_per_s"] = megabytes / seconds
    return report


def assert_same(arms: Arms) -> None:
    """Both combinations agree to f32 rounding of two terms: 3e-7 on flux, 2e-7 on ivar, mask equal."""
    exact, fast = empty_output(arms, np.float64), empty_output(arms, np.float32)
    combine_sums(arms, exact)
    combine_blocks(arms, fast)
    # Where two fluxes of opposite sign nearly cancel, the rounding is that of the terms.
    np.testing.assert_allclose(fast[0], exact[0], rtol=3e-7, atol=3e-7 * np.abs(exact[0]).max())
    np.testing.assert_allclose(fast[1], exact[1], rtol=2e-7)
    np.testing.assert_array_equal(fast[2], exact[2])


def arm_peers(paths: list[Path], repeat: int) -> dict:
    """fitsio, NumPy, and both in one, over whole files."""
    files = [read_fitsio(path) for path in paths]
    spectra = sum(len(arms["B"][0]) for arms in files)
    megabytes = sum(a.nbytes for arms in files for band in arms.values() for a in band) / 1e6
    for arms in files:
        assert_same(arms)
    report = {}
    for name, read in (("whole", read_fitsio), ("rows", read_fitsio_rows)):
        reads = [partial(read, path) for path in paths]
        report[f"read_fitsio_{name}"] = rate(timed(reads, repeat), spectra, megabytes)
    for label, dtype in (("f32", np.float32), ("f64", np.float64)):
        outputs = [empty_output(arms, dtype) for arms in files]
        for name, combine in (("sums", combine_sums), ("blocks", combine_blocks)):
            pieces = [piece for each in zip(files, outputs, strict=True) for piece in batches(*each)]
            parts = [partial(combine, *piece) for piece in pieces]
            report[f"combine_numpy_{name}_{label}"] = rate(timed(parts, repeat, at_hand=True), spectra, megabytes)
    outputs = [empty_output(arms, np.float32) for arms in files]

    both = [lambda p=path, o=out: combine_blocks(read_fitsio(p), o) for path, out in zip(paths, outputs, strict=True)]
    report["read_fitsio_combine_numpy_blocks_f32"] = rate(timed(both, repeat), spectra, megabytes)
    return report


def read_desispec(path: Path) -> object:
    """Everything but RESOLUTION, as desispec's own reader gives it."""
    from desispec.io import read_spectra

    return read_spectra(str(path), single=True, skip_hdus=("RESOLUTION", "EXP_FIBERMAP"))


def desi_peers(path: Path, few: int, repeat: int) -> dict:
    """desispec, redrock and fastspecfit on one file: whole, row by row, or the slow ones on `few` rows."""
    from desispec.coaddition import coadd_cameras
    from desispec.emlinefit import get_emlines
    from desispec.interpolation import resample_flux
    from desispec.spectra import Spectra
    from fastspecfit.photometry import Photometry
    from redrock.rebin import trapz_rebin

    arms = read_fitsio(path)
    rows = len(arms["B"][0])
    few = min(few, rows)
    lower = [b.lower() for b in BANDS]
    wave = {b.lower(): WAVE_AA[first : first + width] for b, (first, width) in ARM_LAYOUT.items()}
    inputs = [{b.lower(): arms[b][k].astype(np.float64) for b in BANDS} for k in (0, 1)]
    masks = {b.lower(): arms[b][2].astype(np.uint32) for b in BANDS}
    coadd = Spectra(lower, wave, *inputs, mask=masks)
    out = empty_output(arms, np.float64)
    combine_blocks(arms, out)
    flux, ivar, _ = out
    redshift = REDSHIFT_STEP * np.arange(rows)
    rest = [WAVE_AA / (1.0 + z) for z in redshift]
    grid = 10.0 ** (np.log10(2400.0) + 1e-4 * np.arange(6111))
    edges = [edges_inside(grid, wave) for wave in rest]

    def redrock_three(i: int) -> None:
        """The three unweighted means that a weighted flux and its ivar take."""
        for values in (flux[i] * ivar[i], ivar[i], ivar[i]):
            trapz_rebin(rest[i], values, edges=edges[i])

    def dn4000(i: int) -> None:
        Photometry.get_dn4000(WAVE_AA, flux[i], flam_ivar=ivar[i], redshift=redshift[i], rest=False)

    def each(one: Callable[[int], object], n: int) -> dict:
        return rate(timed([partial(one, i) for i in range(n)], repeat), n)

    def lines() -> object:
        return get_emlines(redshift[:few], WAVE_AA, flux[:few], ivar[:few])

    return {
        "read_desispec": rate(timed([lambda: read_desispec(path)], repeat), rows),
        "desispec_coadd_cameras": rate(timed([lambda: coadd_cameras(coadd)], repeat), rows),
        "desispec_resample_flux": each(lambda i: resample_flux(grid, rest[i], flux[i], ivar[i]), few),
        "redrock_trapz_rebin_x3": each(redrock_three, rows),
        "fastspecfit_dn4000": each(dn4000, rows),
        "desispec_emlines": rate(timed([lines], 1), few),
    }


def edges_inside(grid: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """The edges of the grid's bins that lie on a spectrum."""
    middle = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate(([1.5 * grid[0] - 0.5 * grid[1]], middle, [1.5 * grid[-1] - 0.5 * grid[-2]]))
    return edges[(edges >= wave[0]) & (edges <= wave[-1])]


def main() -> None:
    """Reads the arguments, times every peer, prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with coadd files below it")
    parser.add_argument("--repeat", type=int, default=5, help="timed runs after the first")
    parser.add_argument("--few", type=int, default=32, help="rows given to the slowest peers")
    args = parser.parse_args()
    assert_versions(REQUIREMENTS)
    logging.disable(logging.INFO)
    paths = find_coadds(args.folder)
    if not paths:
        raise SystemExit(f"no coadd files below {args.folder}")
    report = {
        "folder_files": len(paths),
        "versions": pinned_versions(REQUIREMENTS) | {"python": platform.python_version()},
        "peers": arm_peers(paths, args.repeat) | desi_peers(paths[0], args.few, args.repeat),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
