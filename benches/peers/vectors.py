"""Rates of psycopg's binary COPY of vectors, beside the server's own COPY from a file of the same rows.

What: JSON with rows/s of `write_row` (pgvector's and psycopg's own conversions), of a stream built by NumPy column
by column, and of `COPY … FROM` a file on the server, into the same table, in turns; rows are taken from memory.
Why: a load is bounded by the server; the peers say what a user's own loader reaches.
Sources: psycopg 3 `Cursor.copy`, pgvector-python, the binary format of PostgreSQL's manual (sql-copy).

    python vectors.py FOLDER --specmill target/release/specmill

FOLDER is what `load_rates` leaves: a run folder with a private server that holds `ml.twin`, and the vectors in Parquet.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pgvector import Vector
from pgvector.psycopg import register_vector

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
CHUNK_ROWS = 8192
NUMBERS = {"int8": ">i8", "int4": ">i4", "int2": ">i2", "float8": ">f8", "float4": ">f4"}


def server_types(connection: psycopg.Connection, names: list[str]) -> list[str]:
    """The server's name of each column's type."""
    found = connection.execute(
        "SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid "
        "WHERE attrelid = 'ml.twin'::regclass AND attnum > 0"
    )
    types = dict(found.fetchall())
    return [types[name] for name in names]


def stream(table: pa.Table, types: list[str]) -> list[bytes]:
    """Frames of the binary format; every cell of a column has one width, as here."""
    fields: list[tuple] = [("count", ">i2")]
    cells: dict[str, object] = {"count": table.num_columns}
    for name, kind, column in zip(table.column_names, types, table.columns, strict=True):
        column = column.combine_chunks()
        if column.null_count == len(column):
            fields.append((f"{name}_size", ">i4"))
            cells[f"{name}_size"] = -1
            continue
        assert column.null_count == 0, f"{name} is neither whole nor wholly NULL"
        if kind == "vector":
            width = column.type.list_size
            fields += [(f"{name}_size", ">i4"), (f"{name}_dim", ">i2"), (f"{name}_flags", ">i2"), (name, ">f4", (width,))]
            cells |= {f"{name}_size": 4 + 4 * width, f"{name}_dim": width, f"{name}_flags": 0}
            cells[name] = column.flatten().to_numpy().reshape(-1, width)
        elif kind == "_float4":
            width = column.type.list_size
            cell = np.dtype([("head", ">i4", (5,)), ("items", [("size", ">i4"), ("value", ">f4")], (width,))])
            array = np.zeros(len(column), cell)
            # One dimension, no NULL, elements of type 700, so many of them, counted from 1.
            array["head"] = (1, 0, 700, width, 1)
            array["items"]["size"] = 4
            array["items"]["value"] = column.flatten().to_numpy().reshape(-1, width)
            fields += [(f"{name}_size", ">i4"), (name, cell)]
            cells |= {f"{name}_size": cell.itemsize, name: array}
        elif kind == "text":
            text = np.array(column.to_pylist(), dtype="S")
            assert len(set(np.char.str_len(text))) == 1, f"texts of {name} differ in length"
            fields += [(f"{name}_size", ">i4"), (name, text.dtype)]
            cells |= {f"{name}_size": text.dtype.itemsize, name: text}
        else:
            dtype = np.dtype(NUMBERS[kind])
            fields += [(f"{name}_size", ">i4"), (name, dtype)]
            cells |= {f"{name}_size": dtype.itemsize, name: column.to_numpy()}
    rows = np.empty(table.num_rows, np.dtype(fields))
    for name, values in cells.items():
        rows[name] = values
    return [rows[first : first + CHUNK_ROWS].tobytes() for first in range(0, len(rows), CHUNK_ROWS)]


def by_row(copy: psycopg.Copy, table: pa.Table, types: list[str]) -> None:
    """Every row a tuple, converted by psycopg and pgvector."""
    copy.set_types([f"{kind[1:]}[]" if kind.startswith("_") else kind for kind in types])
    for batch in table.to_batches(max_chunksize=CHUNK_ROWS):
        columns = []
        for kind, column in zip(types, batch.columns, strict=True):
            if kind == "vector":
                columns.append(map(Vector, column.flatten().to_numpy().reshape(len(column), -1)))
            else:
                columns.append(column.to_pylist())
        for row in zip(*columns, strict=True):
            copy.write_row(row)


def by_stream(copy: psycopg.Copy, table: pa.Table, types: list[str]) -> None:
    """Frames built column by column, sent as they are."""
    copy.write(HEADER)
    for first in range(0, table.num_rows, 16 * CHUNK_ROWS):
        for chunk in stream(table.slice(first, 16 * CHUNK_ROWS), types):
            copy.write(chunk)
    copy.write(TRAILER)


def seconds_of(connection: psycopg.Connection, work: object, rows: int) -> float:
    """Seconds of one filling of the emptied table, committed."""
    connection.execute("TRUNCATE ml.twin")
    connection.commit()
    connection.autocommit = True
    connection.execute("CHECKPOINT")
    connection.autocommit = False
    start = time.perf_counter()
    with connection.cursor() as cursor:
        work(cursor)
    connection.commit()
    seconds = time.perf_counter() - start
    (count,) = connection.execute("SELECT count(*) FROM ml.twin").fetchone()
    connection.commit()
    if count != rows:
        raise SystemExit(f"{count} rows instead of {rows}")
    return seconds


def measure(connection: psycopg.Connection, table: pa.Table, repeat: int) -> dict:
    """Rows per second of each way, the best of some turns."""
    register_vector(connection)
    types = server_types(connection, table.column_names)
    connection.commit()
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    sql = f"COPY ml.twin ({columns}) FROM STDIN (FORMAT binary)"
    # The server writes and reads it.
    file = Path(tempfile.gettempdir()) / f"vectors-{os.getpid()}.bin"

    def client(way: object):
        def work(cursor: psycopg.Cursor) -> None:
            with cursor.copy(sql) as copy:
                way(copy, table, types)

        return work

    ways = {
        "psycopg_row_wise_per_s": client(by_row),
        "psycopg_numpy_stream_per_s": client(by_stream),
        "copy_from_file_per_s": lambda c: c.execute(f"COPY ml.twin ({columns}) FROM '{file}' (FORMAT binary)"),
    }
    best = dict.fromkeys(ways, float("inf"))
    sums = set()
    for turn in range(repeat):
        for name, work in ways.items():
            # Row-wise is slow, and one turn tells it.
            if turn > 0 and name == "psycopg_row_wise_per_s":
                continue
            best[name] = min(best[name], seconds_of(connection, work, table.num_rows))
            if turn == 0:
                (digest,) = connection.execute("SELECT sum(hashtextextended(t::text, 0)) FROM ml.twin t LIMIT 1").fetchone()
                sums.add(digest)
                if not file.exists():
                    connection.execute(f"COPY ml.twin ({columns}) TO '{file}' (FORMAT binary)")
                connection.commit()
    # The server may have left a file that is its user's alone to remove.
    try:
        file.unlink(missing_ok=True)
    except PermissionError:
        pass
    if len(sums) != 1:
        raise SystemExit("the ways do not leave the same rows")
    return {name: table.num_rows / seconds for name, seconds in best.items()}


def main() -> None:
    """Starts the server, measures, stops it, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what load_rates leaves")
    parser.add_argument("--specmill", type=Path, required=True, help="the release binary")
    parser.add_argument("--repeat", type=int, default=3, help="turns; the best of each counts")
    args = parser.parse_args()
    (file,) = (args.folder / "run" / "embeddings").rglob("*.parquet")
    table = pq.read_table(file)
    run_file = str(args.folder / "run.toml")
    subprocess.run([args.specmill, "db", "start", run_file], check=True, stdout=subprocess.DEVNULL)
    try:
        (record,) = (args.folder / "run").rglob("server.json")
        server = json.loads(record.read_text())
        with psycopg.connect(
            host=server["socket"], port=server["port"], user=server["user"], dbname=server["database"]
        ) as connection:
            report = measure(connection, table, args.repeat)
    finally:
        subprocess.run([args.specmill, "db", "stop", run_file], check=True, stdout=subprocess.DEVNULL)
    print(json.dumps({"rows": table.num_rows, **report}))


if __name__ == "__main__":
    main()
