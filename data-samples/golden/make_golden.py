"""Golden values of every coadd below a folder, as flat Parquet files.

What: combined.parquet, rest.parquet, scalars.parquet and dust.parquet; the columns are in README.md.
Why: the Rust tests compare the whole flow with numbers made by other people's code (desispec,
desiutil, fastspecfit) or, where there is none, by an independent f64 statement (reference.py,
measure.py). The same script serves data-samples/ and a release tree.
Sources: desispec 0.70.0 `coadd_cameras`, `resample_flux`; desiutil 4.0.1 `dust_transmission`;
fastspecfit 3.6.1 `Photometry.get_dn4000`.

    python make_golden.py --input ../spectro/redux --output . --stride 24
    python make_golden.py --input DIR --output DIR --redshifts UNIT=FILE
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import measure
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import reference
from coadds import BANDS, N_PIXELS, STEP_AA, WAVE_AA, Coadd
from coadds import assert_versions, find_coadds, read_coadd, read_redshifts, redshift_file
from desiutil.dust import dust_transmission

# Overlaps of the arms, and a margin around them, kept whole: 5760–5800 and 7520–7620 Å.
OVERLAPS_AA = ((5756.0, 5804.0), (7516.0, 7624.0))
# Half width of the neighbourhood whose largest |flux| scales the tolerance on rebinned flux.
LOCAL_BINS = 25
CONSTANTS = Path(__file__).resolve().parents[2] / "schemas" / "data"
DUST_EBV = (0.0, 0.01, 0.05, 0.2, 1.0)
KEYS = [("unit", pa.string()), ("targetid", pa.int64()), ("row", pa.int32())]
SCHEMAS = {
    "combined": KEYS
    + [("rule", pa.string()), ("pixel", pa.int32()), ("flux", pa.float64())]
    + [("ivar", pa.float64()), ("mask", pa.uint32()), ("flux_scale", pa.float32())],
    "rest": KEYS
    + [("class", pa.string()), ("z", pa.float64()), ("bin", pa.int32()), ("wave_aa", pa.float64())]
    + [("flux", pa.float64()), ("ivar", pa.float64())]
    + [("flux_local_max", pa.float32()), ("ivar_max", pa.float32())],
    "scalars": KEYS + [("quantity", pa.string()), ("value", pa.float64()), ("ivar", pa.float64())],
    "dust": [("ebv", pa.float64()), ("wave_aa", pa.float64()), ("transmission", pa.float64())],
}


class Tables:
    """Columns gathered row by row, written as one Parquet file per table."""

    def __init__(self) -> None:
        self.parts: dict[str, list[pa.Table]] = {name: [] for name in SCHEMAS}

    def add(self, table: str, **columns) -> None:
        """Appends equally long columns; a scalar is repeated."""
        length = max(len(v) for v in columns.values() if not isinstance(v, str) and np.ndim(v) == 1)
        arrays = []
        for name, kind in SCHEMAS[table]:
            value = columns[name]
            repeat = isinstance(value, str) or np.ndim(value) == 0
            arrays.append(pa.array([value] * length if repeat else value, kind, from_pandas=False))
        self.parts[table].append(pa.Table.from_arrays(arrays, schema=pa.schema(SCHEMAS[table])))

    def write(self, folder: Path) -> None:
        """Writes every table: zstd, floats byte-split so that f32-born values shrink."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, parts in self.parts.items():
            schema = pa.schema(SCHEMAS[name])
            table = pa.concat_tables(parts) if parts else schema.empty_table()
            text = [f.name for f in schema if pa.types.is_string(f.type)]
            split = [f.name for f in schema if not pa.types.is_string(f.type)]
            pq.write_table(
                table,
                folder / f"{name}.parquet",
                compression="zstd",
                compression_level=19,
                use_dictionary=text,
                use_byte_stream_split=split,
                write_statistics=False,
            )


def chosen_pixels(masked_p: np.ndarray, stride: int) -> np.ndarray:
    """Every stride-th pixel, both overlaps, the ends, and masked pixels with their neighbours."""
    chosen = np.zeros(N_PIXELS, bool)
    chosen[::stride] = True
    chosen[[1, 2, -3, -2, -1]] = True
    for low, high in OVERLAPS_AA:
        chosen |= (WAVE_AA > low - STEP_AA / 2) & (WAVE_AA < high + STEP_AA / 2)
    near = masked_p.copy()
    near[1:] |= masked_p[:-1]
    near[:-1] |= masked_p[1:]
    return np.flatnonzero(chosen | near)


def add_combined(tables: Tables, coadd: Coadd, stride: int) -> None:
    """Flux, ivar and mask of all rows under all rules; "0.70" is desispec's own and checks ours."""
    results = {rule: reference.combine_arms(coadd, rule) for rule in reference.RULES}
    theirs = reference.combine_by_desispec(coadd)
    for ours, desispec_s in zip(results["0.70"], theirs, strict=True):
        # Same f64 operations in the same order: anything but rounding is a wrong statement.
        np.testing.assert_allclose(ours, desispec_s, rtol=1e-15, atol=0.0)
    results["0.70"] = theirs
    shape = (len(coadd.targetid), N_PIXELS)
    masked, scale = np.zeros(shape, bool), np.zeros(shape)
    for arm in coadd.arms.values():
        at = slice(arm.first, arm.first + arm.flux.shape[1])
        masked[:, at] |= arm.mask != 0
        scale[:, at] = np.maximum(scale[:, at], np.abs(arm.flux))
    for row, targetid in enumerate(coadd.targetid):
        pixels = chosen_pixels(masked[row] & (results["0.70"][1][row] > 0), stride)
        for rule, (flux, ivar, mask) in results.items():
            tables.add(
                "combined",
                unit=coadd.unit,
                targetid=int(targetid),
                row=row,
                rule=rule,
                pixel=pixels,
                flux=flux[row, pixels],
                ivar=ivar[row, pixels],
                mask=mask[row, pixels],
                flux_scale=scale[row, pixels].astype(np.float32),
            )


def add_rest(tables: Tables, key: dict, kind: str, s: measure.Spectrum, stride: int) -> None:
    """The rest-frame spectrum on its class's grid: every stride-th bin and the ends of the data."""
    grid_aa = reference.rest_grid(kind)
    flux, ivar = reference.to_rest_frame(s.flux, s.ivar, s.z, grid_aa)
    chosen = np.zeros(len(grid_aa), bool)
    chosen[::stride] = True
    for end in (0, len(grid_aa), *np.flatnonzero(ivar > 0)[[0, -1]]):
        chosen[max(end - 3, 0) : end + 4] = True
    bins = np.flatnonzero(chosen)
    local = [np.abs(flux[max(b - LOCAL_BINS, 0) : b + LOCAL_BINS + 1]).max() for b in bins]
    tables.add(
        "rest",
        **key,
        **{"class": kind},
        z=s.z,
        bin=bins,
        wave_aa=grid_aa[bins],
        flux=flux[bins],
        ivar=ivar[bins],
        flux_local_max=np.array(local, np.float32),
        ivar_max=np.float32(ivar.max()),
    )


def add_snr(tables: Tables, coadd: Coadd) -> None:
    """Median S/N per arm, recomputed in f64 and as stored in SCORES where that is present."""
    for band in BANDS:
        if band not in coadd.arms:
            continue
        snr = reference.median_snr(coadd, band)
        name = f"MEDIAN_COADD_SNR_{band}"
        stored = coadd.scores is not None and name in coadd.scores.dtype.names
        for row in range(len(coadd.targetid)):
            measured = {f"snr_{band.lower()}": (snr[row], None)}
            if stored:
                measured[f"snr_{band.lower()}_scores"] = (float(coadd.scores[name][row]), None)
            add_scalars(tables, coadd, row, measured)


def add_scalars(tables: Tables, coadd: Coadd, row: int, measured: dict) -> None:
    """Appends quantity → (value or None, ivar or None)."""
    if measured:
        tables.add(
            "scalars",
            unit=coadd.unit,
            targetid=int(coadd.targetid[row]),
            row=row,
            quantity=list(measured),
            value=[v for v, _ in measured.values()],
            ivar=[i for _, i in measured.values()],
        )


def add_coadd(tables: Tables, path: Path, given: dict[str, Path], stride: int) -> str:
    """All golden values of one coadd; returns one line about it."""
    coadd = read_coadd(path)
    add_combined(tables, coadd, stride)
    add_snr(tables, coadd)
    redshifts = redshift_file(path, given)
    known = read_redshifts(redshifts) if redshifts else {}
    flux_sp, ivar_sp, _ = reference.combine_arms(coadd, "masked")
    measured = 0
    for row, targetid in enumerate(coadd.targetid.tolist()):
        z, kind, _ = known.get(targetid, (np.nan, "", 0))
        if kind not in reference.REST_RANGE_AA or not np.isfinite(z) or not ivar_sp[row].any():
            continue
        ebv = None if coadd.ebv is None else float(coadd.ebv[row])
        flux, ivar = reference.correct_extinction(flux_sp[row], ivar_sp[row], ebv)
        key = {"unit": coadd.unit, "targetid": targetid, "row": row}
        # Stars are measured where they are: their class's grid is defined at z = 0.
        spectrum = measure.Spectrum(flux, ivar, 0.0 if kind == "STAR" else z)
        add_rest(tables, key, kind, spectrum, stride)
        add_scalars(tables, coadd, row, measure.features(spectrum, CONSTANTS))
        measured += 1
    return f"{coadd.unit}: {len(coadd.targetid)} rows, {measured} with a redshift"


def add_dust(tables: Tables, stride: int) -> None:
    """desiutil's transmission at every stride-th pixel of the combined grid."""
    wave = WAVE_AA[::stride]
    for ebv in DUST_EBV:
        tables.add("dust", ebv=ebv, wave_aa=wave, transmission=dust_transmission(wave, ebv))


def main() -> None:
    """Reads the arguments, makes every table, writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, help="folder with coadd files below it")
    parser.add_argument("--output", type=Path, required=True, help="folder for the Parquet files")
    parser.add_argument("--stride", type=int, default=1, help="keep every n-th pixel and bin (1: all)")
    parser.add_argument(
        "--redshifts",
        action="append",
        default=[],
        metavar="UNIT=FILE",
        help="redshifts of a unit that has no redrock file beside it",
    )
    args = parser.parse_args()
    assert_versions(Path(__file__).with_name("requirements.txt"))
    logging.disable(logging.INFO)
    given = {unit: Path(path) for unit, _, path in (item.partition("=") for item in args.redshifts)}
    tables = Tables()
    paths = find_coadds(args.input)
    if not paths:
        raise SystemExit(f"no coadd files below {args.input}")
    for path in paths:
        print(add_coadd(tables, path, given, args.stride))
    add_dust(tables, args.stride)
    tables.write(args.output)
    for name in SCHEMAS:
        print(f"{name}.parquet {(args.output / f'{name}.parquet').stat().st_size} bytes")


if __name__ == "__main__":
    main()
