"""Bytes that `extract` reads beside the bytes that it needs.

What: the bytes of FLUX, IVAR, MASK and WAVELENGTH of the arms, of the tables and of every header of a tree's coadds
and redshift files, and what one run of `extract` without digests asked the system to read.
Why: 79 % of a coadd is the RESOLUTION matrix, which is never to be touched.
Sources: proc_pid_io(5); HDU sizes by astropy.

    python bytes_read.py --specmill target/release/specmill --work FOLDER TREE...
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from astropy.io import fits
from machine import charged, write_run_file

ARMS = ("B", "R", "Z")
IMAGES = {f"{arm}_{kind}" for arm in ARMS for kind in ("FLUX", "IVAR", "MASK", "WAVELENGTH")}
TABLES = ("BINTABLE", "TABLE")


def bytes_of(path: Path) -> int:
    """Headers, tables and the arms' images of a file."""
    needed = 0
    with fits.open(path, lazy_load_hdus=False) as hdus:
        for hdu in hdus:
            place = hdu.fileinfo()
            needed += place["datLoc"] - place["hdrLoc"]
            if hdu.name in IMAGES or hdu.header.get("XTENSION", "").strip() in TABLES:
                needed += place["datSpan"]
    return needed


def bytes_needed(tree: Path) -> int:
    """Those of every coadd and its redshift file below a folder."""
    paths = [path for kind in ("coadd", "redrock") for path in tree.rglob(f"{kind}-*.fits")]
    if not paths:
        raise SystemExit(f"no coadds below {tree}")
    return sum(map(bytes_of, paths))


def main() -> None:
    """Runs `extract` on each tree and prints what it read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specmill", type=Path, required=True, help="the release binary")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("trees", type=Path, nargs="+", help="folders with spectro/redux below them")
    args = parser.parse_args()
    folder = args.work.resolve() / "bytes-read"
    run_file = folder.with_suffix(".toml")
    for tree in args.trees:
        shutil.rmtree(folder, ignore_errors=True)
        write_run_file(run_file, tree.resolve(), folder)
        charged([args.specmill, "run", run_file, "--stage", "inventory"])
        read = charged([args.specmill, "run", run_file, "--stage", "extract", "--threads", 1])["bytes_read"]
        needed = bytes_needed(tree)
        print(f"{tree}: read {read} bytes, needed {needed}, ratio {read / needed:.4f}")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
