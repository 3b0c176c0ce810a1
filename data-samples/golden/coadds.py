"""Coadd files as NumPy arrays: units, arms on the 7781-pixel grid, redshifts.

What: finds coadd and redrock files below a folder, names their unit of work, and reads the arms in
f64 with every array's place on the combined grid.
Why: the golden values and the peers need the same rows under the same keys as the pipeline, read by
code that shares nothing with it.
Sources: DESI data model, spectro/redux layout (desidatamodel); HDUs are found by name, an absent
HDU is an absent arm, mask or column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import fitsio
import numpy as np

N_PIXELS = 7781
FIRST_AA = 3600.0
STEP_AA = 0.8
WAVE_AA = FIRST_AA + STEP_AA * np.arange(N_PIXELS)
# Grids that disagree with the common one by more than this are refused, as desispec does.
GRID_TOLERANCE_AA = 1e-4
BANDS = ("B", "R", "Z")
SUFFIXES = (".fits", ".fits.gz")


def assert_versions(requirements: Path) -> None:
    """Stops unless every package of a requirements file is installed in exactly its version."""
    wrong = [
        f"{name} is {version(name)}, pinned {pinned}"
        for name, pinned in pinned_versions(requirements).items()
        if version(name) != pinned
    ]
    if wrong:
        raise SystemExit("; ".join(wrong) + f" ({requirements.name})")


def pinned_versions(requirements: Path) -> dict[str, str]:
    """Package → version of a requirements file, included files first."""
    pinned: dict[str, str] = {}
    for line in requirements.read_text().splitlines():
        if line.startswith("-r "):
            pinned |= pinned_versions(requirements.parent / line.removeprefix("-r ").strip())
        elif "==" in line and not line.startswith("#"):
            name, _, number = line.strip().partition("==")
            pinned[name] = number
    return pinned


@dataclass
class Arm:
    """One arm: arrays [row, pixel]; pixel 0 is `first` on the combined grid."""

    first: int
    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray


@dataclass
class Coadd:
    """One coadd file. `fiberstatus` is 0 and `ebv` None where the column is absent."""

    unit: str
    path: Path
    targetid: np.ndarray
    fiberstatus: np.ndarray
    ebv: np.ndarray | None
    arms: dict[str, Arm] = field(default_factory=dict)
    scores: np.ndarray | None = None


def unit_of(path: Path) -> str:
    """The unit id of a coadd file, from its place in the tree and its header."""
    parts = path.resolve().parts
    name = path.name
    if "healpix" in parts:
        at = parts.index("healpix")
        survey, program, pixel = parts[at + 1], parts[at + 2], int(parts[at + 4])
        nside = int(fitsio.read_header(str(path), 0).get("HPXNSIDE", 64))
        return f"{parts[at - 1]}/healpix/{survey}/{program}/{nside}/{pixel}"
    found = re.match(r"coadd-(\d+)-(\d+)-thru(\d+)\.fits", name)
    if "tiles" in parts and found:
        petal, tileid, night = found.groups()
        return f"{parts[parts.index('tiles') - 1]}/tile/{int(tileid)}/{int(petal)}/{int(night)}"
    raise ValueError(f"{path}: neither a healpix nor a tile coadd")


def find_coadds(folder: Path) -> list[Path]:
    """Every coadd below `folder`, ordered by unit id."""
    found = [p for p in folder.rglob("coadd-*") if p.name.endswith(SUFFIXES)]
    return sorted(found, key=unit_of)


def read_coadd(path: Path) -> Coadd:
    """Reads the arms in f64; non-finite flux or ivar and negative ivar become flux 0, ivar 0."""
    with fitsio.FITS(str(path)) as fits:
        fibermap = fits["FIBERMAP"].read()
        columns = {name.upper(): name for name in fibermap.dtype.names}
        rows = len(fibermap)
        targetid = fibermap[columns["TARGETID"]].astype(np.int64)
        status = columns.get("COADD_FIBERSTATUS")
        fiberstatus = fibermap[status].astype(np.int64) if status else np.zeros(rows, np.int64)
        ebv = fibermap[columns["EBV"]].astype(np.float64) if "EBV" in columns else None
        coadd = Coadd(unit_of(path), path, targetid, fiberstatus, ebv)
        names = {hdu.get_extname().upper() for hdu in fits}
        for band in BANDS:
            if f"{band}_FLUX" in names:
                coadd.arms[band] = read_arm(fits, band, names)
        if "SCORES" in names:
            coadd.scores = fits["SCORES"].read()
    return coadd


def read_arm(fits: fitsio.FITS, band: str, names: set[str]) -> Arm:
    """One arm, placed on the combined grid by its own wavelengths."""
    wave = fits[f"{band}_WAVELENGTH"].read().astype(np.float64)
    first = round((wave[0] - FIRST_AA) / STEP_AA)
    expected = WAVE_AA[first : first + len(wave)]
    if first < 0 or len(expected) != len(wave) or np.abs(wave - expected).max() > GRID_TOLERANCE_AA:
        raise ValueError(f"{band}_WAVELENGTH is not on the grid of {N_PIXELS} pixels")
    flux = np.atleast_2d(fits[f"{band}_FLUX"].read()).astype(np.float64)
    ivar = np.atleast_2d(fits[f"{band}_IVAR"].read()).astype(np.float64)
    bad = ~np.isfinite(flux) | ~np.isfinite(ivar) | (ivar < 0)
    flux[bad] = 0.0
    ivar[bad] = 0.0
    if f"{band}_MASK" in names:
        mask = np.atleast_2d(fits[f"{band}_MASK"].read()).astype(np.uint32)
    else:
        mask = np.zeros(flux.shape, np.uint32)
    return Arm(first, wave, flux, ivar, mask)


def read_redshifts(path: Path) -> dict[int, tuple[float, str, int]]:
    """TARGETID → (z, class, zwarn) from a redrock file or a QSO catalogue (class QSO, zwarn 0)."""
    with fitsio.FITS(str(path)) as fits:
        names = {hdu.get_extname().upper() for hdu in fits}
        table = fits["REDSHIFTS" if "REDSHIFTS" in names else 1].read()
    columns = table.dtype.names
    z = table["Z"].astype(np.float64)
    kinds = [text(v) for v in table["SPECTYPE"]] if "SPECTYPE" in columns else ["QSO"] * len(table)
    zwarn = table["ZWARN"].astype(np.int64) if "ZWARN" in columns else np.zeros(len(table), np.int64)
    return {int(t): (float(z[i]), kinds[i], int(zwarn[i])) for i, t in enumerate(table["TARGETID"])}


def text(value: bytes | str) -> str:
    """A FITS string: cut at the first NUL, trailing blanks dropped."""
    plain = value.decode("ascii") if isinstance(value, bytes) else value
    return plain.split("\0")[0].rstrip()


def redshift_file(coadd: Path, given: dict[str, Path]) -> Path | None:
    """The redshift file of a coadd: the one given for its unit, else the redrock beside it."""
    named = given.get(unit_of(coadd))
    if named:
        return named
    stem = coadd.name.removesuffix(".gz").removesuffix(".fits").replace("coadd-", "redrock-", 1)
    for suffix in SUFFIXES:
        if (coadd.parent / f"{stem}{suffix}").exists():
            return coadd.parent / f"{stem}{suffix}"
    return None
