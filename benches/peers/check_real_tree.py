"""Compares a run on real coadds with desispec, desiutil, fastspecfit and f64 statements.

What: per quantity the number of values compared, the largest difference, its tolerance and whether
it holds; exit 1 where one fails, a file is missing, or nothing could be compared.
Why: the tolerances were frozen before the first run; real files hold what no simulation does.
Sources: desispec `coadd_cameras` and `resample_flux`, desiutil `dust_transmission`, fastspecfit
`Photometry.get_dn4000`, each called; SCORES and a FASTSPEC file as stored; reference.py and
measure.py of data-samples/golden for plain breaks, indices and line windows.

    python check_real_tree.py --lake RUN_FOLDER --real DIR [--redshifts UNIT=FILE]…

DIR holds coadds anywhere below it; where it has `made-here/` and `catalogs/`, the redshifts that go
with its three units are taken from there.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path

import fitsio
import numpy as np
import pyarrow.parquet as pq

GOLDEN = Path(__file__).resolve().parents[2] / "data-samples" / "golden"
sys.path.insert(0, str(GOLDEN))
# ruff: noqa: E402
import measure
import reference
from coadds import BANDS, Coadd, assert_versions, find_coadds, read_coadd, read_redshifts, redshift_file

CONSTANTS = GOLDEN.parents[1] / "schemas" / "data"
REAL_REDSHIFTS = {
    "fuji/healpix/sv3/dark/64/26065": "made-here/redrock-sv3-dark-26065.fits",
    "fuji/tile/80693/1/20210204": "catalogs/qso/QSO_cat_fuji_dark_tile.fits.gz",
}
FASTSPEC = {"iron/tile/80613/4/20210324": "made-here/fastspec-4-80613-thru20210324.fits"}
# fastspecfit lines whose sum one of our windows holds.
FASTSPEC_LINES = {
    "oii_3728": ("OII_3726", "OII_3729"),
    "oiii_4960": ("OIII_4959",),
    "oiii_5008": ("OIII_5007",),
    "halpha_nii": ("NII_6548", "HALPHA", "NII_6584"),
    "sii_6725": ("SII_6716", "SII_6731"),
}
# Rows with these ZWARN bits (0, 7, 8, 9) are skipped by default.
SKIPPED_ZWARN = 1 << 0 | 1 << 7 | 1 << 8 | 1 << 9
LOCAL_BINS = 25
# f64 of the stored f32, rounded to f32 once (6e-8), against the stored f32 of the same: SCORES.
SNR_RTOL = 2e-7
# resample_flux's own tolerances: flux against the local maximum, ivar against the maximum.
REST_FLUX_TOL, REST_IVAR_TOL, REST_IVAR_FLOOR = 2e-5, 1e-5, 1e-6
DN4000_TOL = 1e-3
DN4000_CATALOGUE_TOL = 0.005
LINE_RATIO_TOL, LINE_LEAST_SNR = 0.03, 10.0
# Combined spectrum and results are f32 (6e-8 each): a few roundings of the value, and where a
# continuum cancels, roundings of its terms, which stay far below a pixel's noise.
VALUE_RTOL, VALUE_SIGMAS = 1e-6, 1e-4
# An ivar is a sum of squares, without cancellation: a few roundings.
IVAR_RTOL = 1e-6


@dataclass
class Check:
    """The differences of one quantity in units of its tolerance's own scale."""

    tolerance: float
    differences: list[float] = field(default_factory=list)

    def holds(self) -> bool:
        """Whether something was compared and all of it agrees."""
        return bool(self.differences) and max(self.differences) <= self.tolerance


class Report:
    """Checks by name, and sentences about what should not be."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.problems: list[str] = []

    def add(self, name: str, difference: float, tolerance: float) -> None:
        """One difference of a quantity; NaN counts as infinite."""
        check = self.checks.setdefault(name, Check(tolerance))
        check.differences.append(float("inf") if np.isnan(difference) else float(difference))

    def print(self) -> int:
        """The table; 0 where everything holds."""
        print(f"{'quantity':34s} {'n':>7s} {'max diff':>11s} {'tolerance':>11s}")
        for name, check in self.checks.items():
            worst = max(check.differences, default=float("nan"))
            verdict = "ok" if check.holds() else "FAILED"
            print(f"{name:34s} {len(check.differences):7d} {worst:11.3g} {check.tolerance:11.3g} {verdict}")
        for problem in self.problems:
            print(f"FAILED: {problem}")
        failed = self.problems or not self.checks or not all(c.holds() for c in self.checks.values())
        return 1 if failed else 0


@dataclass
class Unit:
    """One unit: the coadd, our feature rows in its order, and its redshifts."""

    coadd: Coadd
    rows: list[dict]
    known: dict[int, tuple[float, str, int]]

    def name_of(self, row: int) -> str:
        """How a row is named in a problem."""
        return f"{self.coadd.unit} row {row} (targetid {self.coadd.targetid[row]})"


def read_rows(path: Path) -> list[dict]:
    """A Parquet file as rows; the prefix that keeps an index apart from a line of its name is dropped."""
    return [
        {name.removeprefix("lick_"): value for name, value in row.items()}
        for row in pq.read_table(path).to_pylist()
    ]


def check_states(report: Report, unit: Unit, ivar_sp: np.ndarray, measured: list[str]) -> None:
    """One row per coadd row, measured where it can be, NULL everywhere else."""
    for row, ours in enumerate(unit.rows):
        targetid = int(unit.coadd.targetid[row])
        if (ours["row"], ours["targetid"], ours["unit"]) != (row, targetid, unit.coadd.unit):
            report.problems.append(f"{unit.name_of(row)}: keys differ")
        z = unit.known.get(targetid)
        expected = z is not None and not z[2] & SKIPPED_ZWARN and bool(ivar_sp[row].any())
        if (ours["state"] == "done") != expected:
            report.problems.append(f"{unit.name_of(row)}: state {ours['state']} ({ours['reason']})")
        if ours["state"] != "done":
            invented = [name for name in measured if ours[name] is not None]
            if invented or ours["reason"] is None:
                report.problems.append(f"{unit.name_of(row)}: unmeasured, yet {invented[:5]} or no reason")
        elif ours["z"] != z[0]:
            report.problems.append(f"{unit.name_of(row)}: z {ours['z']}, file says {z[0]}")


def check_snr(report: Report, unit: Unit) -> None:
    """Median S/N per arm against the f64 recomputation and against SCORES as stored."""
    for band in BANDS:
        if band not in unit.coadd.arms:
            continue
        exact = reference.median_snr(unit.coadd, band)
        name = f"MEDIAN_COADD_SNR_{band}"
        scores = unit.coadd.scores
        stored = scores[name] if scores is not None and name in scores.dtype.names else None
        for row, ours in enumerate(unit.rows):
            value = ours[f"snr_{band.lower()}"]
            if value is None:
                continue
            report.add("snr, f64", abs(value - exact[row]) / max(abs(exact[row]), 1e-30), SNR_RTOL)
            if stored is not None:
                scale = max(abs(float(stored[row])), 1e-30)
                report.add("snr, SCORES", abs(value - float(stored[row])) / scale, SNR_RTOL)


def check_values(report: Report, ours: dict, expected: dict[str, measure.Measured], where: str) -> None:
    """Breaks, indices and lines of one row against their f64 statement."""
    for name, (value, ivar) in expected.items():
        if (ours[name] is None) != (value is None):
            report.problems.append(f"{where}: {name} is {ours[name]}, expected {value}")
            continue
        if value is None or ivar is None:
            continue
        if name == "dn4000_w":
            report.add("dn4000_w, fastspecfit", abs(ours[name] - value), DN4000_TOL)
        else:
            allowed = VALUE_RTOL * abs(value) + VALUE_SIGMAS / np.sqrt(ivar)
            kind = name.rsplit("_", 1)[-1] if name.endswith(("_flux", "_ew", "_cont")) else "break or index"
            report.add(f"{kind}, f64 (share of tolerance)", abs(ours[name] - value) / allowed, 1.0)
        ours_ivar = ours_ivar_of(ours, name)
        if ours_ivar is not None:
            report.add("ivar of the same, relative", abs(ours_ivar / ivar - 1.0), IVAR_RTOL)


def ours_ivar_of(ours: dict, name: str) -> float | None:
    """Our inverse variance of a value, from its ivar or its error column."""
    if ours.get(f"{name}_ivar") is not None:
        return ours[f"{name}_ivar"]
    error = ours.get(f"{name}_err")
    return None if error is None else 1.0 / error**2


def check_rest(report: Report, ours: dict, grid_aa: np.ndarray, flux_p, ivar_p, where: str) -> None:
    """One rest-frame spectrum against desispec's resampling on the grid of the file's footer."""
    flux, ivar = np.array(ours["flux"], np.float64), np.array(ours["ivar"], np.float64)
    their_flux, their_ivar = reference.to_rest_frame(flux_p, ivar_p, ours["z"], grid_aa)
    if flux.shape != their_flux.shape or not (np.isfinite(flux).all() and np.isfinite(ivar).all()):
        report.problems.append(f"{where}: {flux.size} bins, {their_flux.size} expected, all finite")
        return
    kept = their_ivar > REST_IVAR_FLOOR * their_ivar.max()
    padded = np.pad(np.abs(their_flux), LOCAL_BINS)
    local = np.lib.stride_tricks.sliding_window_view(padded, 2 * LOCAL_BINS + 1).max(axis=1)
    report.add("rest flux, desispec", (np.abs(flux - their_flux)[kept] / local[kept]).max(), REST_FLUX_TOL)
    report.add("rest ivar, desispec", np.abs(ivar - their_ivar).max() / their_ivar.max(), REST_IVAR_TOL)
    if (flux[ivar == 0] != 0).any():
        report.problems.append(f"{where}: flux where ivar is 0")


def check_spectra(report: Report, lake: Path, unit: Unit, corrected: dict) -> None:
    """Every measured row is in the file of its class, once, with its rest-frame spectrum."""
    seen = []
    for folder in sorted((lake / "spectra").glob("*")):
        path = folder / f"{unit.coadd.unit}.parquet"
        if not path.exists():
            continue
        footer = {k.decode(): v.decode() for k, v in (pq.read_schema(path).metadata or {}).items()}
        first, step = float(footer["grid_log10_first"]), float(footer["grid_dlog10"])
        grid_aa = 10.0 ** (first + step * np.arange(int(footer["grid_n_pixels"])))
        for ours in read_rows(path):
            kind = unit.rows[ours["row"]]["spectype"].lower()
            if kind != folder.name:
                report.problems.append(f"{unit.name_of(ours['row'])}: a {kind} in {folder.name}")
            seen.append(ours["row"])
            check_rest(report, ours, grid_aa, *corrected[ours["row"]], unit.name_of(ours["row"]))
    if sorted(seen) != sorted(corrected):
        report.problems.append(f"{unit.coadd.unit}: spectra of rows {seen}, measured {sorted(corrected)}")


def check_catalogue(report: Report, path: Path, ours: dict) -> None:
    """One row against a FASTSPEC file: DN4000_OBS and the fluxes of well-detected lines.

    Balmer lines alone are left out: fastspecfit removes the stellar absorption under them.
    """
    with fitsio.FITS(str(path)) as fits:
        names = [name.upper() for name in fits["SPECPHOT"].get_colnames()]
        observed = "DN4000_OBS" if "DN4000_OBS" in names else "DN4000"
        specphot, lines = fits["SPECPHOT"].read()[0], fits["FASTSPEC"].read()[0]
    difference = abs(ours["dn4000_w"] - float(specphot[observed]))
    report.add(f"dn4000_w, {observed} as stored", difference, DN4000_CATALOGUE_TOL)
    ratios = []
    for name, members in FASTSPEC_LINES.items():
        total = sum(float(lines[f"{member}_FLUX"]) for member in members)
        flux, ivar = ours[f"{name}_flux"], ours[f"{name}_flux_ivar"]
        if flux is not None and flux * np.sqrt(ivar) > LINE_LEAST_SNR:
            ratios.append(flux / total)
    report.add("line flux over FASTSPEC, median - 1", abs(np.median(ratios) - 1.0), LINE_RATIO_TOL)


def check_unit(report: Report, lake: Path, coadd: Coadd, redshifts: Path | None) -> Unit | None:
    """Everything about one unit."""
    path = lake / "features" / f"{coadd.unit}.parquet"
    if not path.exists():
        report.problems.append(f"{coadd.unit}: no features file")
        return None
    unit = Unit(coadd, read_rows(path), read_redshifts(redshifts) if redshifts else {})
    if len(unit.rows) != len(coadd.targetid):
        report.problems.append(f"{coadd.unit}: {len(unit.rows)} rows, the coadd has {len(coadd.targetid)}")
        return None
    differing = [b for b, arm in coadd.arms.items() if ((arm.mask != 0) & (arm.ivar > 0)).any()]
    if differing:
        report.problems.append(f"{coadd.unit}: masked pixels with weight in {differing}: the rules differ")
    flux_sp, ivar_sp, _ = reference.combine_by_desispec(coadd)
    names = list(measure.features(measure.Spectrum(flux_sp[0], np.zeros_like(ivar_sp[0]), 0.0), CONSTANTS))
    check_states(report, unit, ivar_sp, names)
    check_snr(report, unit)
    corrected = {}
    for row, ours in enumerate(unit.rows):
        if ours["state"] != "done":
            continue
        ebv = None if coadd.ebv is None else float(coadd.ebv[row])
        flux, ivar = reference.correct_extinction(flux_sp[row], ivar_sp[row], ebv)
        corrected[row] = flux, ivar
        z = 0.0 if ours["spectype"] == "STAR" else ours["z"]
        expected = measure.features(measure.Spectrum(flux, ivar, z), CONSTANTS)
        check_values(report, ours, expected, unit.name_of(row))
    check_spectra(report, lake, unit, corrected)
    return unit


def main() -> int:
    """Checks every unit below the real folder; 1 where anything fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lake", type=Path, required=True, help="run folder made from the same files")
    parser.add_argument("--real", type=Path, required=True, help="folder with real coadds below it")
    parser.add_argument(
        "--redshifts",
        action="append",
        default=[],
        metavar="UNIT=FILE",
        help="redshifts of a unit that has no redrock file beside it",
    )
    args = parser.parse_args()
    assert_versions(GOLDEN / "requirements.txt")
    logging.disable(logging.INFO)
    given = {unit: args.real / name for unit, name in REAL_REDSHIFTS.items()}
    given = {unit: path for unit, path in given.items() if path.exists()}
    given |= {unit: Path(path) for unit, _, path in (item.partition("=") for item in args.redshifts)}
    root = args.real / "tree" if (args.real / "tree").is_dir() else args.real
    report = Report()
    for path in find_coadds(root):
        unit = check_unit(report, args.lake, read_coadd(path), redshift_file(path, given))
        catalogue = args.real / FASTSPEC.get(unit.coadd.unit, "") if unit else args.real
        if unit and catalogue.is_file():
            check_catalogue(report, catalogue, unit.rows[0])
    return report.print()


if __name__ == "__main__":
    raise SystemExit(main())
