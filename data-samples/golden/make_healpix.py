"""Golden HEALPix pixels: healpix29.parquet, positions and their nested pixel at order 29 by healpy.

What: ra, dec (deg, float64), pixel (int64). 10 000 positions uniform on the sphere, 2 000 within a degree of a pole,
2 000 within a degree of RA = 0, and both ends of every range: poles, RA 0 and 360, the faces' corners.
Why: the database computes pixels by its own code (schemas/sql); this is somebody else's.
Coordinates are multiples of 2**-20 deg, so they are exact in every format.

    python make_healpix.py --output .
"""

from __future__ import annotations

import argparse
from pathlib import Path

import healpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NSIDE = 2**29
STEP_DEG = 2.0**-20
VERSIONS = {"healpy": (healpy, "1.20.1"), "numpy": (np, "2.4.6"), "pyarrow": (pa, "26.0.1")}


def positions() -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination, deg."""
    rng = np.random.default_rng(20260101)
    n, m = 10_000, 2_000
    ra = [rng.uniform(0, 360, n), rng.uniform(0, 360, m), rng.uniform(-1, 1, m) % 360]
    near_pole = rng.choice([-1.0, 1.0], m) * (90 - rng.uniform(0, 1, m) ** 2)
    dec = [np.degrees(np.arcsin(rng.uniform(-1, 1, n))), near_pole, rng.uniform(-90, 90, m)]
    # Strictly inside a pixel: on an edge, rounding decides which of two neighbours it is. Poles are corners of pixels too,
    # but there only longitude decides.
    edges = [(lon, lat) for lon in (10.0, 100.0, 190.0, 280.0) for lat in (-90.0, 90.0)]
    edges += [(lon, lat) for lon in (0.0, 359.9999990463257, 180.0) for lat in (-89.5, -41.75, -30.25, 0.125, 30.25, 41.75, 89.5)]
    ra.append(np.array([lon for lon, _ in edges]))
    dec.append(np.array([lat for _, lat in edges]))
    return tuple(np.round(np.concatenate(v) / STEP_DEG) * STEP_DEG for v in (ra, dec))


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for name, (module, version) in VERSIONS.items():
        if module.__version__ != version:
            raise SystemExit(f"{name} is {module.__version__}, the golden needs {version}")
    ra, dec = positions()
    pixel = healpy.ang2pix(NSIDE, ra, dec, nest=True, lonlat=True)
    table = pa.table({"ra": ra, "dec": dec, "pixel": pixel.astype(np.int64)})
    encoding = {name: "BYTE_STREAM_SPLIT" for name in table.column_names}
    pq.write_table(
        table,
        arguments.output / "healpix29.parquet",
        compression="zstd",
        compression_level=9,
        use_dictionary=False,
        column_encoding=encoding,
    )


if __name__ == "__main__":
    main()
