"""Opens the outputs of a run in pyarrow, polars and DuckDB, as a user would.

What: for inventory, features and every class of spectra (and embeddings where they exist), the row
count in each tool, which must agree, and the schema with the units its fields carry.
Why: the lake must open as it is in the usual tools; exit 1 where it does not.
Sources: DESIGN of the lake: one Parquet file per unit and stage below `<run>/<table>/`.

    python check_open.py RUN_FOLDER [--quiet]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
from coadds import assert_versions

REQUIRED = ("features", "spectra")


def tables(run: Path) -> dict[str, Path]:
    """Every table of a run: its name and its file or folder."""
    found = {"inventory": run / "inventory.parquet", "features": run / "features"}
    for group in ("spectra", "embeddings"):
        for folder in sorted(p for p in (run / group).glob("*") if p.is_dir()):
            found[f"{group}/{folder.name}"] = folder
    return {name: path for name, path in found.items() if path.exists()}


def row_counts(path: Path) -> dict[str, int]:
    """Rows of one table as each tool sees them, all files as one data set."""
    pattern = str(path / "**" / "*.parquet") if path.is_dir() else str(path)
    quoted = pattern.replace("'", "''")
    counted = duckdb.sql(f"SELECT count(*) FROM read_parquet('{quoted}')").fetchall()
    return {
        "pyarrow": ds.dataset(path, format="parquet").count_rows(),
        "polars": pl.scan_parquet(pattern).select(pl.len()).collect().item(),
        "duckdb": counted[0][0],
    }


def read_everything(path: Path) -> None:
    """Decodes every column in each tool: a count alone reads only footers."""
    pattern = str(path / "**" / "*.parquet") if path.is_dir() else str(path)
    quoted = pattern.replace("'", "''")
    arrow = ds.dataset(path, format="parquet").to_table()
    arrow.validate(full=True)
    frame = pl.read_parquet(pattern)
    duck = duckdb.sql(f"SELECT * FROM read_parquet('{quoted}')").to_arrow_table()
    names = arrow.schema.names
    if frame.columns != names or duck.schema.names != names:
        raise ValueError("the tools disagree on the columns")
    for name in names:
        nulls = {arrow[name].null_count, frame[name].null_count(), duck[name].null_count}
        if len(nulls) != 1:
            raise ValueError(f"the tools disagree on the NULLs of {name}: {sorted(nulls)}")


def described(field: pa.Field) -> str:
    """One schema line: name, type, unit."""
    metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
    return f"    {field.name:28s} {str(field.type):36s} {metadata.get('unit', '-')}"


def check_table(name: str, path: Path, quiet: bool) -> bool:
    """Prints one table; whether every tool reads it alike and every field describes itself."""
    schema = ds.dataset(path, format="parquet").schema
    counts = row_counts(path)
    print(f"{name}: " + ", ".join(f"{tool} {rows}" for tool, rows in counts.items()) + " rows")
    if not quiet:
        print("\n".join(described(field) for field in schema))
    mute = [f.name for f in schema if b"description" not in (f.metadata or {})]
    problems = [f"fields without a description: {', '.join(mute)}"] if mute else []
    if len(set(counts.values())) != 1:
        problems.append("row counts differ")
    try:
        read_everything(path)
    except (ValueError, pa.ArrowException, pl.exceptions.PolarsError, duckdb.Error) as error:
        problems.append(str(error))
    for problem in problems:
        print(f"    FAILED: {problem}")
    return not problems


def main() -> int:
    """Checks every table of the run; 1 where one fails or is absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--quiet", action="store_true", help="no schemas, counts only")
    args = parser.parse_args()
    assert_versions(Path(__file__).with_name("requirements.txt"))
    found = tables(args.run)
    absent = [name for name in REQUIRED if not any(n.split("/")[0] == name for n in found)]
    for name in absent:
        print(f"{name}: FAILED: absent")
    passed = [check_table(name, path, args.quiet) for name, path in found.items()]
    return 0 if all(passed) and not absent else 1


if __name__ == "__main__":
    raise SystemExit(main())
