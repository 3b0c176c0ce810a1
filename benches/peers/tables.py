"""Rates of FITS tables to Parquet: specmill beside astropy and fitsio with pyarrow.

What: per table the seconds (wall and processor), rows/s, peak memory and bytes of each program, each in a process of
its own, all writing zstd level 1 with statistics; the ratio to the fastest peer; and whether every column of our
file holds the values of the peer's. Peers run on one thread, as they do by default; ours on all cores.
Why: the bar is five times the best a user could run instead, in at most 1 GiB, on the same files and cores.
Sources: astropy `Table.read` and `fits.open`, fitsio whole and by blocks of rows, pyarrow `write_table`, in the
versions of tables-requirements.txt.

    make bench-tables
    python tables.py --specmill target/release/specmill --work FOLDER [--zall ROWS] [--fastspec ROWS]
        [--zcatalog ROWS] [--repeat N] [--json FILE]

The tables have the columns and widths of DR1's zall-pix (136) and FASTSPEC (887); their values repeat, are
constant, zero or noise where those of the genuine ones do; `zcatalog` is zall-pix's first 60. They are simulated in
FOLDER, once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CHUNK_ROWS = 50_000
BLOCK_ROWS = 100_000
PEERS = ("astropy_table", "astropy_memmap", "fitsio_whole", "fitsio_blocks")

# Contents: i unique, b few values, c one value, n noise, z noise with a third zeros, t text of few kinds, u unique
# text, l logical.
ZALL = """TARGETID:i8i SURVEY:S7t PROGRAM:S6t HEALPIX:i4b SPGRPVAL:i4b Z:f8n ZERR:f8n ZWARN:i8b CHI2:f8n
COEFF:10f8z NPIXELS:i8b SPECTYPE:S6t SUBTYPE:S20t NCOEFF:i8b DELTACHI2:f8n COADD_FIBERSTATUS:i4b TARGET_RA:f8n
TARGET_DEC:f8n PMRA:f4z PMDEC:f4z REF_EPOCH:f4b FA_TARGET:i8b FA_TYPE:u1b OBJTYPE:S3t SUBPRIORITY:f8n
OBSCONDITIONS:i4b RELEASE:i2b BRICKNAME:S8u BRICKID:i4b BRICK_OBJID:i4n MORPHTYPE:S4t EBV:f4n FLUX_G:f4n FLUX_R:f4n
FLUX_Z:f4n FLUX_W1:f4n FLUX_W2:f4n FLUX_IVAR_G:f4n FLUX_IVAR_R:f4n FLUX_IVAR_Z:f4n FLUX_IVAR_W1:f4n
FLUX_IVAR_W2:f4n FIBERFLUX_G:f4n FIBERFLUX_R:f4n FIBERFLUX_Z:f4n FIBERTOTFLUX_G:f4n FIBERTOTFLUX_R:f4n
FIBERTOTFLUX_Z:f4n MASKBITS:i2b SERSIC:f4z SHAPE_R:f4z SHAPE_E1:f4z SHAPE_E2:f4z REF_ID:i8z REF_CAT:S2t
GAIA_PHOT_G_MEAN_MAG:f4z GAIA_PHOT_BP_MEAN_MAG:f4z GAIA_PHOT_RP_MEAN_MAG:f4z PARALLAX:f4z PHOTSYS:S1t
PRIORITY_INIT:i8b NUMOBS_INIT:i8b CMX_TARGET:i8c DESI_TARGET:i8b BGS_TARGET:i8b MWS_TARGET:i8b SCND_TARGET:i8b
SV1_DESI_TARGET:i8c SV1_BGS_TARGET:i8c SV1_MWS_TARGET:i8c SV1_SCND_TARGET:i8c SV2_DESI_TARGET:i8c
SV2_BGS_TARGET:i8c SV2_MWS_TARGET:i8c SV2_SCND_TARGET:i8c SV3_DESI_TARGET:i8c SV3_BGS_TARGET:i8c
SV3_MWS_TARGET:i8c SV3_SCND_TARGET:i8c PLATE_RA:f8n PLATE_DEC:f8n COADD_NUMEXP:i2b COADD_EXPTIME:f4n
COADD_NUMNIGHT:i2b COADD_NUMTILE:i2b MEAN_DELTA_X:f4n RMS_DELTA_X:f4n MEAN_DELTA_Y:f4n RMS_DELTA_Y:f4n
MEAN_FIBER_RA:f8n STD_FIBER_RA:f4n MEAN_FIBER_DEC:f8n STD_FIBER_DEC:f4n MEAN_PSF_TO_FIBER_SPECFLUX:f4n
MIN_MJD:f8b MAX_MJD:f8b MEAN_MJD:f8b DESINAME:S22u"""
TSNR2 = [
    f"TSNR2_{k}{b}"
    for b in ("_B", "_R", "_Z", "")
    for k in ["GPBDARK", "ELG", "GPBBRIGHT", "LYA", "BGS", "GPBBACKUP", "QSO", "LRG"]
]
ZALL_END = "SV_NSPEC:i2b SV_PRIMARY:?l MAIN_NSPEC:i2b MAIN_PRIMARY:?l ZCAT_NSPEC:i2b ZCAT_PRIMARY:?l"
FASTSPEC = "TARGETID:i8i SURVEY:S4t PROGRAM:S6t HEALPIX:i4b"
LINE = ["MODELAMP", "AMP", "AMP_IVAR", "FLUX", "FLUX_IVAR", "BOXFLUX", "BOXFLUX_IVAR", "VSHIFT", "SIGMA", "CONT", "CONT_IVAR", "EW", "EW_IVAR", "CHI2", "NPIX"]

Spec = list[tuple[str, str, str]]


def parse(text: str) -> Spec:
    """(name, NumPy type, content) of each word `name:typecontent`."""
    return [(w.split(":")[0], w.split(":")[1][:-1], w[-1]) for w in text.split()]


def zall() -> Spec:
    """The columns of zall-pix; 136 as in DR1."""
    spec = parse(ZALL) + [(name, "f4", "n") for name in TSNR2] + parse(ZALL_END)
    assert len(spec) == 136, len(spec)
    return spec


def fastspec() -> Spec:
    """The columns of FASTSPEC; 887 as in DR1."""
    spec = parse(FASTSPEC)
    line = 0
    while len(spec) < 887:
        for quantity in LINE[: 887 - len(spec)]:
            spec.append(
                (
                    f"LINE{line:02d}_{quantity}",
                    "i4" if quantity == "NPIX" else "f4",
                    "b" if quantity == "NPIX" else "z",
                )
            )
        line += 1
    return spec


def values(spec: tuple[str, str, str], first: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` values of a column from row `first` on."""
    _, kind, content = spec
    vector, kind = (int(kind[:2]), kind[2:]) if kind[:2].isdigit() else (1, kind)
    shape = (n, vector) if vector > 1 else n
    if content == "i":
        return 39_627_000_000_000_000 + 7919 * np.arange(first, first + n)
    if content == "b":
        return (rng.zipf(1.7, shape) % 40).astype(kind)
    if content == "c":
        return np.zeros(shape, kind)
    if content == "l":
        return rng.random(n) < 0.9
    if content == "t":
        return rng.choice(np.array(["", "GALAXY", "QSO", "STAR"], "S20"), n, p=(0.1, 0.6, 0.2, 0.1))
    if content == "u":
        return np.char.add(b"b", (first + rng.integers(0, 9000, n) + 1_000_000).astype("S7"))
    noise = rng.lognormal(1.0, 2.0, shape)
    if content == "z":
        noise = noise * (rng.random(n) > 1 / 3).reshape((n,) + (1,) * (noise.ndim - 1))
    return noise.astype(kind)


def simulate(path: Path, spec: Spec, rows: int) -> None:
    """Writes the table, in chunks, as big-endian rows behind a header of astropy's."""
    from astropy.io import fits

    def big(kind: str) -> tuple:
        vector, scalar = (int(kind[:2]), kind[2:]) if kind[:2].isdigit() else (1, kind)
        scalar = scalar if scalar[0] in "S?u" else ">" + scalar
        return (scalar, (vector,)) if vector > 1 else (scalar,)

    native = np.dtype([(name, *big(kind)) for name, kind, _ in spec])
    header = fits.BinTableHDU(np.zeros(0, native)).header
    header["NAXIS2"], header["EXTNAME"] = rows, "TABLE"
    stored = np.dtype([(name, *(("u1",) if kind == "?" else big(kind))) for name, kind, _ in spec])
    rng = np.random.default_rng(20_240_101)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as out:
        out.write(fits.PrimaryHDU().header.tostring().encode())
        out.write(header.tostring().encode())
        for first in range(0, rows, CHUNK_ROWS):
            n = min(CHUNK_ROWS, rows - first)
            chunk = np.zeros(n, stored)
            for column in spec:
                cells = values(column, first, n, rng)
                chunk[column[0]] = np.where(cells, ord("T"), ord("F")) if column[2] == "l" else cells
            out.write(chunk.tobytes())
        out.write(b"\0" * (-rows * stored.itemsize % 2880))
    partial.rename(path)


def arrow_table(columns: dict[str, np.ndarray]):
    """A pyarrow table of NumPy columns, native byte order, text as text."""
    import pyarrow as pa

    arrays = []
    for cells in columns.values():
        cells = np.asarray(cells)
        if cells.dtype.kind == "S":
            arrays.append(pa.array(np.char.rstrip(cells).astype("U")))
            continue
        cells = np.ascontiguousarray(cells, dtype=cells.dtype.newbyteorder("="))
        flat = pa.array(cells.reshape(-1))
        arrays.append(flat if cells.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, cells.shape[1]))
    return pa.table(arrays, names=list(columns))


def run_peer(peer: str, path: Path, out: Path) -> None:
    """One peer's conversion, in this process."""
    import pyarrow.parquet as pq

    if peer == "astropy_table":
        from astropy.table import Table

        table = Table.read(path, hdu=1)
        pq.write_table(arrow_table({name: table[name] for name in table.colnames}), out, compression="zstd")
    elif peer == "astropy_memmap":
        from astropy.io import fits

        with fits.open(path, memmap=True) as hdus:
            data = hdus[1].data
            pq.write_table(arrow_table({name: data[name] for name in data.names}), out, compression="zstd")
    elif peer == "fitsio_whole":
        import fitsio

        data = fitsio.read(str(path), ext=1)
        pq.write_table(arrow_table({name: data[name] for name in data.dtype.names}), out, compression="zstd")
    else:
        import fitsio

        writer = None
        with fitsio.FITS(str(path)) as fits:
            hdu = fits[1]
            for first in range(0, hdu.get_nrows(), BLOCK_ROWS):
                data = hdu[first : min(first + BLOCK_ROWS, hdu.get_nrows())]
                table = arrow_table({name: data[name] for name in data.dtype.names})
                writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
                writer.write_table(table)
        writer.close()


def timed(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak MiB of a process."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {child.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def differences(ours: Path, theirs: Path) -> list[str]:
    """Columns whose values differ between two Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    a, b = pq.ParquetFile(ours), pq.ParquetFile(theirs)
    names = a.schema_arrow.names
    if names != b.schema_arrow.names or a.metadata.num_rows != b.metadata.num_rows:
        return ["columns-or-rows"]
    wrong = []
    for name in names:
        left, right = (file.read([name]).column(0).combine_chunks() for file in (a, b))
        left, right = (
            array.flatten() if pa.types.is_fixed_size_list(array.type) else array for array in (left, right)
        )
        if not left.cast(right.type).equals(right):
            wrong.append(name)
    return wrong


def measure(name: str, spec: Spec, rows: int, args: argparse.Namespace) -> dict:
    """Every program on one table; its numbers, and whether the bars hold and the values agree."""
    path = args.work / f"{name}-{rows}.fits"
    if not path.exists():
        simulate(path, spec, rows)
    # Into the page cache, and not through this process: a child's peak memory begins with its parent's.
    subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
    outs = {program: args.work / f"{name}-{program}.parquet" for program in ("specmill", *args.peers)}
    commands = {
        peer: [sys.executable, __file__, "--peer", peer, str(path), str(outs[peer])] for peer in args.peers
    }
    commands["specmill"] = [
        str(args.specmill),
        "catalog",
        "convert",
        str(path),
        "--out",
        str(outs["specmill"]),
    ]
    best: dict[str, tuple[float, float, float]] = {}
    # In turn, so that what else the machine does falls on all alike.
    for _ in range(args.repeat):
        for program, command in commands.items():
            seconds, busy, peak = timed(command)
            known = best.get(program, (seconds, busy, 0.0))
            best[program] = (min(known[0], seconds), min(known[1], busy), max(known[2], peak))
    print(
        f"{name}: {rows} rows x {len(spec)} columns, {path.stat().st_size / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"  {'program':16s} {'s':>7s} {'cpu s':>7s} {'rows/s':>10s} {'MB/s':>7s} {'peak MiB':>9s} {'Parquet MB':>11s}"
    )
    for program, (seconds, busy, peak) in best.items():
        rate, size = rows / seconds, outs[program].stat().st_size / 1e6
        mb = path.stat().st_size / 1e6 / seconds
        print(f"  {program:16s} {seconds:7.2f} {busy:7.2f} {rate:10.0f} {mb:7.0f} {peak:9.0f} {size:11.1f}")
    fastest = min(args.peers, key=lambda peer: best[peer][0])
    ratio = best[fastest][0] / best["specmill"][0]
    busy = min(best[peer][1] for peer in args.peers) / best["specmill"][1]
    compare = [sys.executable, __file__, "--compare", str(outs["specmill"]), str(outs[fastest])]
    wrong = subprocess.run(compare, capture_output=True, text=True, check=True).stdout.split()
    held = ratio >= 5 and best["specmill"][2] <= 1024 and not wrong
    print(
        f"  ratio to {fastest}: {ratio:.1f}; of processor time: {busy:.1f}; columns that differ: {', '.join(wrong) or 'none'}; {'ok' if held else 'FAILED'}"
    )
    programs = {
        program: {
            "seconds": seconds,
            "cpu_seconds": busy,
            "peak_mib": peak,
            "bytes_out": outs[program].stat().st_size,
        }
        for program, (seconds, busy, peak) in best.items()
    }
    return {
        "table": name,
        "rows": rows,
        "columns": len(spec),
        "bytes": path.stat().st_size,
        "programs": programs,
        "fastest": fastest,
        "differing": wrong,
        "held": held,
    }


def main() -> None:
    """Reads the arguments; measures, or is one of the processes measured."""
    if sys.argv[1:2] == ["--peer"]:
        run_peer(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    if sys.argv[1:2] == ["--compare"]:
        print(" ".join(differences(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--specmill", type=Path, required=True, help="the program, built for release")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for the tables and what is made of them"
    )
    parser.add_argument("--zall", type=int, default=2_000_000, help="rows of the zall-pix-like table")
    parser.add_argument("--fastspec", type=int, default=200_000, help="rows of the FASTSPEC-like table")
    parser.add_argument("--zcatalog", type=int, default=0, help="rows of the table of 60 columns")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each program; the best counts")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    tables = (
        ("zcatalog", zall()[:60], args.zcatalog),
        ("zall-pix", zall(), args.zall),
        ("fastspec", fastspec(), args.fastspec),
    )
    measured = [measure(name, spec, rows, args) for name, spec, rows in tables if rows > 0]
    if args.json:
        args.json.write_text(json.dumps(measured, indent=2) + "\n")
    sys.exit(0 if all(table["held"] for table in measured) else 1)


if __name__ == "__main__":
    main()
