"""Compares every table of a folder of FITS files, converted, with astropy and fitsio, value by value.

What: per file and HDU the values compared with each reader and the differences, explained ones with their reason;
that every unit which was rewritten means the same to astropy; that pyarrow, polars and DuckDB open the Parquet
files and see the same rows, NULLs and sums; exit 1 where a difference is not explained or nothing could be compared.
Why: a catalogue must reach the lake as it is: every bit of every number, every string, every row.
Sources: astropy `fits.open`, fitsio `FITS`, pyarrow, polars, DuckDB, in the versions of tables-requirements.txt (they are
printed).

    make check-tables
    python check_tables.py --specmill target/release/specmill [--data FOLDER] …

Without --data the folder is SPECMILL_REAL_DATA, or ../shared/desi-real beside the project. Floating-point numbers
are compared by their bits, except that one NaN is as good as another once it was computed with.

Explained: a logical that is neither T nor F is NULL here, False to astropy and not read alike by fitsio; a string
ends at its first NUL here, at its last other byte there; a value that a followed TNULL names is NULL here and a
number there; and what `read_otherwise` names, none of which occurs in DESI's files.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import astropy
import duckdb
import fitsio
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units
from astropy.cosmology.units import littleh
from astropy.io import fits

warnings.simplefilter("ignore")
# Bytes of one element; P and Q are descriptors.
WIDTH = dict(zip("LBIJKAEDCMPQ", (1, 1, 2, 4, 8, 1, 4, 8, 8, 16, 8, 16), strict=True))


class Account:
    """What was compared, what differed, and why."""

    def __init__(self) -> None:
        self.values: collections.Counter = collections.Counter()
        self.explained: collections.Counter = collections.Counter()
        self.problems: list[str] = []

    def explain(self, reason: str, n: int) -> None:
        """`n` differences that are as they should be."""
        if n:
            self.explained[reason] += n


def flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """All elements of a column, lists opened."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    while pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    return array


def lengths(column: pa.ChunkedArray) -> list[int] | None:
    """Elements per row of a list column."""
    if not pa.types.is_list(column.type):
        return None
    return [0 if row is None else len(row) for row in column.to_pylist()]


def as_bits(array: np.ndarray) -> np.ndarray:
    """Floats as integers of their bits, every NaN the same one."""
    native = array.astype(array.dtype.newbyteorder("="), copy=True)
    native[np.isnan(native)] = np.nan
    return native.view(f"u{native.dtype.itemsize}")


def concatenated(cells: object) -> tuple[np.ndarray, list[int] | None]:
    """A reader's column as flat elements, and elements per row where rows differ."""
    cells = np.asarray(cells)
    if cells.dtype != object:
        return cells.reshape(-1), None
    if len(cells) == 0:
        return np.zeros(0), []
    if isinstance(cells[0], (str, bytes)):
        return np.array([c.decode() if isinstance(c, bytes) else c for c in cells], object), None
    parts = [np.atleast_1d(np.asarray(cell)) for cell in cells]
    if parts[0].dtype.kind in "SU":
        # astropy gives a string in the heap as its characters.
        return np.array(["".join(text_of(part, "")) for part in parts], object), None
    return np.concatenate(parts) if parts else np.zeros(0), [len(part) for part in parts]


def text_of(values: np.ndarray, padding: str = " \0") -> list[str]:
    """Strings of any dtype without the padding; NULs inside remain."""
    texts = (v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist())
    return [text.rstrip(padding) if padding else text for text in texts]


def compare(ours: pa.ChunkedArray, theirs: object, raw: np.ndarray | None, account: Account) -> str | None:
    """The first difference of a column that is not explained."""
    mine, (other, other_lengths) = flat(ours), concatenated(theirs)
    my_lengths = lengths(ours)
    if my_lengths is not None and other_lengths is not None and my_lengths != other_lengths:
        return "lengths of cells differ"
    if len(mine) != len(other):
        return f"{len(mine)} elements, expected {len(other)}"
    if len(mine) == 0:
        return None
    valid = mine.is_valid().to_numpy(zero_copy_only=False)
    kind = mine.type
    if pa.types.is_string(kind):
        left, right = mine.to_pylist(), text_of(other)
        cut = [value.split("\0")[0].rstrip(" ") for value in right]
        account.explain("string cut at its first NUL", sum(a != b for a, b in zip(cut, right, strict=True)))
        wrong = [i for i, (a, b) in enumerate(zip(left, cut, strict=True)) if a != b]
        return f"element {wrong[0]}: {left[wrong[0]]!r}, expected {right[wrong[0]]!r}" if wrong else None
    if pa.types.is_boolean(kind):
        left, right = mine.fill_null(False).to_numpy(zero_copy_only=False), other.astype(bool)
        if raw is not None and not valid.all():
            odd = ~np.isin(raw.reshape(-1).view("u1"), (ord("T"), ord("F")))
            if not np.array_equal(odd, ~valid):
                return "NULL where the file has T or F, or the reverse"
            account.explain("logical neither T nor F is NULL", int(odd.sum()))
        differs = (left != right) & valid
        return f"element {np.flatnonzero(differs)[0]} differs" if differs.any() else None
    if pa.types.is_struct(kind):
        parts = [(mine.field("re").to_numpy(), other.real), (mine.field("im").to_numpy(), other.imag)]
        same = all(np.array_equal(as_bits(a), as_bits(b.astype(a.dtype))) for a, b in parts)
        return None if same else "complex numbers differ"
    account.explain("value of a followed TNULL is NULL", int((~valid).sum()))
    if pa.types.is_floating(kind):
        left = mine.to_numpy(zero_copy_only=False)
        right = other.astype(left.dtype)
        differs = as_bits(left) != as_bits(right)
    else:
        left = mine.filter(mine.is_valid()).to_numpy(zero_copy_only=False)
        right = other[valid]
        # Whole numbers that a reader has made doubles are compared as such.
        differs = left.astype(right.dtype) != right if right.dtype.kind == "f" else left != right
    if differs.any():
        at = np.flatnonzero(differs)[0]
        return f"element {at}: {left[at]}, expected {right[at]} ({differs.sum()} in all)"
    return None


def meaning(unit: str) -> units.UnitBase:
    """A unit as astropy understands it, nanomaggies and Hubble's h included."""
    text = re.sub(r"nanomagg(ies|y)|nmgy", "nanomaggy", unit.replace("'", ""))
    text = re.sub(r"^(10\*\*-?\d+)(?=[A-Za-z])", r"\1 ", re.sub(r"(?<=[A-Za-z0-9])\.(?=[A-Za-z])", " ", text))
    # An h beside parsecs is Hubble's; astropy alone would take it for an hour.
    text = re.sub(r"\bh(?=-?\d|\b)", "littleh", text) if "pc" in text else text
    with units.add_enabled_units([littleh]):
        return units.Unit(text, format="generic")


def check_units(table: pa.Table, account: Account) -> None:
    """Rewritten units are VOUnits and mean what they did."""
    for field in table.schema:
        metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        unit, written = metadata.get("unit"), metadata.get("fits.tunit", "").strip()
        if unit is None or unit == written:
            continue
        account.values["units"] += 1
        units.Unit(unit, format="vounit")
        if meaning(unit) != meaning(written):
            account.problems.append(f"unit {written!r} became {unit!r}")


def sums_by_pyarrow(table: pa.Table) -> dict[int, tuple[float, float]]:
    """Sum and sum of magnitudes of the finite values of the columns of single numbers, by position."""
    found = {}
    for i, column in enumerate(table.columns):
        if pa.types.is_integer(column.type):
            total = sum(value for value in column.to_pylist() if value is not None)
            found[i] = (total, 0.0)
        elif pa.types.is_floating(column.type):
            cells = column.drop_null().to_numpy().astype("f8")
            finite = cells[np.isfinite(cells)]
            found[i] = (float(finite.sum()), float(np.abs(finite).sum()))
    return found


def sum_by_polars(series: polars.Series) -> float:
    """Sum of the finite values."""
    if series.dtype.is_float():
        series = series.cast(polars.Float64)
        return series.filter(series.is_finite()).sum()
    return series.cast(polars.Int128).sum()


def sum_by_duckdb(column: str, kind: str) -> str:
    """The expression of a sum of finite values."""
    name = '"' + column.replace('"', '""') + '"'
    if kind in ("FLOAT", "DOUBLE"):
        return f"coalesce(sum({name}::DOUBLE) FILTER (isfinite({name})), 0)"
    return f"coalesce(sum({name}::HUGEINT), 0)"


def check_openers(path: Path, table: pa.Table, where: str, account: Account) -> None:
    """pyarrow, polars and DuckDB see the same rows, NULLs and sums."""
    nulls = [column.null_count for column in table.columns]
    sums = sums_by_pyarrow(table)
    account.values["opened in pyarrow"] += 1
    frame = polars.read_parquet(path)
    if frame.height != table.num_rows or list(frame.null_count().row(0)) != nulls:
        account.problems.append(f"{where}: polars sees other rows or NULLs")
    polars_sums = [sum_by_polars(frame.to_series(i)) for i in sums]
    account.values["opened in polars"] += 1
    # DuckDB tells no upper from lower case and renames the second of two such columns: count by position.
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
    counts = ['count("' + column[0].replace('"', '""') + '")' for column in columns]
    added = [sum_by_duckdb(columns[i][0], columns[i][1]) for i in sums]
    query = f"SELECT count(*), {', '.join(counts + added)} FROM read_parquet('{path}')"
    rows, *found = duckdb.sql(query).fetchall()[0]
    if rows != table.num_rows or [rows - n for n in found[: len(columns)]] != nulls:
        account.problems.append(f"{where}: DuckDB sees other rows or NULLs")
    account.values["opened in DuckDB"] += 1
    for reader, theirs in (("polars", polars_sums), ("DuckDB", found[len(columns) :])):
        for (i, (total, magnitude)), other in zip(sums.items(), theirs, strict=True):
            # Two orders of n additions differ by at most 2 n rounding errors of the sum of magnitudes.
            if abs(total - other) > 2 * table.num_rows * 2.0**-53 * magnitude:
                name = table.column_names[i]
                account.problems.append(f"{where} {name}: its sum is {other} in {reader}, expected {total}")
            account.values[f"sums compared with {reader}"] += 1


def convert(
    args: argparse.Namespace, path: Path, number: int, where: str, account: Account
) -> pa.Table | None:
    """The table as it comes back from Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "table.parquet"
        command = [
            str(args.specmill),
            "catalog",
            "convert",
            str(path),
            "--hdu",
            str(number),
            "--out",
            str(out),
        ]
        done = subprocess.run([*command, *args.option], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            account.problems.append(f"{where}: {done.stderr.strip()}")
            return None
        table = pq.read_table(out)
        check_openers(out, table, where, account)
        return table


def astropy_columns(path: Path, number: int) -> Callable[[int], object]:
    """Columns by position, as astropy reads them."""
    with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
        data = hdus[number].data
        return lambda i: data.field(i)


def fitsio_columns(path: Path, number: int, names: list[str]) -> Callable[[int], object]:
    """Columns by position, as fitsio reads them; it knows names alone."""
    hdu = fitsio.FITS(str(path), vstorage="object")[number]

    def column(i: int) -> object:
        if sum(name.lower() == names[i].lower() for name in names) != 1:
            raise KeyError("its name is empty or occurs twice")
        return hdu.read_column(names[i], vstorage="object")

    return column


def logicals(path: Path, hdu: fits.BinTableHDU, number: int) -> dict[int, np.ndarray]:
    """The stored bytes of the L columns, by position."""
    header, offset, found = hdu.header, 0, {}
    with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
        start = hdus[number].fileinfo()["datLoc"]
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        file.seek(start)
        rows = np.frombuffer(file.read(header["NAXIS1"] * header["NAXIS2"]), "u1").reshape(
            -1, header["NAXIS1"]
        )
    for i in range(header["TFIELDS"]):
        n, letter = re.match(r"(\d*)([A-Za-z])", header[f"TFORM{i + 1}"]).groups()
        n, letter = int(n or 1), letter.upper()
        if letter == "L":
            found[i] = rows[:, offset : offset + n]
        offset += -(-n // 8) if letter == "X" else n * WIDTH[letter]
    return found


def check_hdu(
    args: argparse.Namespace, path: Path, number: int, hdu: fits.BinTableHDU, account: Account
) -> None:
    """One table."""
    header, where = hdu.header, f"{path.name}[{number}] {hdu.name}"
    table = convert(args, path, number, where, account)
    if table is None:
        return
    check_units(table, account)
    shape, rows = (table.num_rows, table.num_columns), header["NAXIS2"]
    if shape != (rows, header["TFIELDS"]):
        account.problems.append(f"{where}: {shape}, expected {(rows, header['TFIELDS'])}")
        return
    if rows == 0:
        return
    names = [header.get(f"TTYPE{i + 1}", "") for i in range(header["TFIELDS"])]
    stored, before = logicals(path, hdu, number), account.values.copy()
    opened = {
        "astropy": lambda: astropy_columns(path, number),
        "fitsio": lambda: fitsio_columns(path, number, names),
    }
    for reader, opener in opened.items():
        try:
            column_of = opener()
        except Exception as error:  # noqa: BLE001 - whatever a reader raises, it does not read the table
            refused(args, f"{where}, {reader}: {error}", account)
            continue
        for i, name in enumerate(names):
            form = header[f"TFORM{i + 1}"]
            try:
                theirs = column_of(i)
            except Exception as error:  # noqa: BLE001
                refused(args, f"{where} {name} ({form}), {reader}: {error}", account)
                continue
            reason = read_otherwise(header, i, reader)
            if reason:
                account.explain(reason, len(flat(table.column(i))))
                continue
            problem = compare(table.column(i), theirs, stored.get(i), account)
            account.values[reader] += len(flat(table.column(i)))
            if problem:
                account.problems.append(f"{where} {name} ({form}), {reader}: {problem}")
    n = {reader: account.values[reader] - before[reader] for reader in ("astropy", "fitsio")}
    print(f"  {where:60s} {table.num_rows:8d} x {table.num_columns:<4d} {n['astropy']:9d} {n['fitsio']:9d}")


def read_otherwise(header: fits.Header, i: int, reader: str) -> str | None:
    """Why a reader's values of a column are not those that the standard gives it."""
    form, scale, zero = (
        header.get(f"{stem}{i + 1}", default) for stem, default in (("TFORM", ""), ("TSCAL", 1), ("TZERO", 0))
    )
    if re.fullmatch(r"\d+A\d+", form):
        return "rAw is one string to astropy and fitsio"
    if reader == "fitsio" and form[0] == "0":
        return "fitsio reads cells of no elements as one"
    if (
        reader == "fitsio"
        and (scale != 1 or zero not in (0, -128, 2**15, 2**31, 2**63))
        and form[-1] in "BIJK"
    ):
        return "fitsio keeps scaled integers in their stored type"
    return None


def refused(args: argparse.Namespace, what: str, account: Account) -> None:
    """Something that a reader does not read."""
    if args.lenient:
        print(f"  not read by the other: {what}")
        account.explain("columns or tables that the other reader refuses", 1)
    else:
        account.problems.append(what)


def default_data() -> Path:
    """The folder of genuine files."""
    beside = Path(__file__).resolve().parents[2] / ".." / "shared" / "desi-real"
    return Path(os.environ.get("SPECMILL_REAL_DATA", beside))


def main() -> None:
    """Reads the arguments, checks every table, prints the account."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--specmill", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--option", action="append", default=[], help="passed to `catalog convert`")
    parser.add_argument("--lenient", action="store_true", help="what a reader refuses to read is no failure")
    args = parser.parse_args()
    print(
        f"astropy {astropy.__version__}, fitsio {fitsio.__version__}, pyarrow {pa.__version__}, polars {polars.__version__}, DuckDB {duckdb.__version__}"
    )
    account = Account()
    for path in sorted(p for p in args.data.rglob("*.fits*") if p.is_file()):
        with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
            for number, hdu in enumerate(hdus):
                if isinstance(hdu, fits.BinTableHDU) and not hdu.header.get("ZIMAGE", False):
                    check_hdu(args, path, number, hdu, account)
    print(f"compared: {dict(account.values)}")
    print(f"explained: {dict(account.explained)}")
    for problem in account.problems:
        print(f"FAILED: {problem}")
    print(f"{len(account.problems)} differences that are not explained")
    sys.exit(1 if account.problems or not account.values["astropy"] else 0)


if __name__ == "__main__":
    main()
