#!/usr/bin/env python3
"""Check a folder of simulated DESI files with the field's own readers.

    check_layout.py FOLDER [--real FOLDER]

Opens every coadd with astropy (warnings are errors), fitsio and desispec, compares what they read,
recomputes SCORES, and checks redrock files and catalogues against the coadds. With --real, a folder
that holds genuine files in `tree/spectro/redux/...`, column names, kinds, TNULL, TDIM and the order
of HDUs are compared as well, and every difference is printed.

Needs astropy, fitsio, numpy and desispec.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path

import fitsio
import numpy as np
from astropy.io import fits

REAL = {
    ("fuji", "healpix", "coadd"): "fuji/healpix/sv3/dark/260/26065/coadd-sv3-dark-26065.fits",
    ("iron", "tiles", "coadd"): "iron/tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits",
    ("iron", "tiles", "redrock"): "iron/tiles/cumulative/80613/20210324/redrock-4-80613-thru20210324.fits",
}
# What genuine headers have and simulated ones leave out on purpose.
LEFT_OUT = {"CHECKSUM", "DATASUM"}


def columns(hdu):
    header = hdu.header
    keys = ("TTYPE", "TFORM", "TNULL", "TDIM")
    return [tuple(header.get(f"{key}{i}") for key in keys) for i in range(1, header["TFIELDS"] + 1)]


def differences(ours, real):
    """Yield one line for each way in which `ours` departs from `real`."""
    with fits.open(ours) as a, fits.open(real) as b:
        if [hdu.name for hdu in a] != [hdu.name for hdu in b]:
            yield f"HDUs {[hdu.name for hdu in a]} for {[hdu.name for hdu in b]}"
        names = {hdu.name for hdu in b}
        for hdu in a:
            if hdu.name not in names:
                continue
            other = b[hdu.name]
            if isinstance(hdu, fits.BinTableHDU):
                mine, theirs = columns(hdu), columns(other)
                if mine != theirs:
                    extra = [column for column in mine if column not in theirs]
                    missing = [column for column in theirs if column not in mine]
                    yield f"{hdu.name}: only ours {extra}, only real {missing}"
            for key in ("BITPIX", "BZERO", "BUNIT", "HPXNEST"):
                if type(hdu.header.get(key)) is not type(other.header.get(key)):
                    yield f"{hdu.name}: {key} is {hdu.header.get(key)!r}, not {other.header.get(key)!r}"
            skip = ("DEPNAM", "DEPVER", "INFIL", "TTYPE", "TFORM", "TNULL", "TDIM", "TEMNAM", "TEMVER")
            absent = {k for k in other.header if not k.startswith(skip)} - set(hdu.header) - LEFT_OUT
            if absent:
                yield f"{hdu.name}: no {sorted(absent)}"


def check_scores(hdus):
    """SCORES against the arrays of the file: half-open ranges, zeros counted, f64 then f32."""
    scores = hdus["SCORES"].data
    for arm, low, high in (("B", 4000, 5800), ("R", 5800, 7600), ("Z", 7600, 9800)):
        wave = hdus[f"{arm}_WAVELENGTH"].data
        inside = (wave >= low) & (wave < high)
        step = np.gradient(wave)[inside]
        flux = hdus[f"{arm}_FLUX"].data[:, inside].astype(float)
        ivar = hdus[f"{arm}_IVAR"].data[:, inside].astype(float)
        expected = {
            "INTEG_COADD_FLUX": (flux * step).sum(axis=1),
            "MEDIAN_COADD_FLUX": np.median(flux, axis=1),
            "MEDIAN_COADD_SNR": np.median(np.sqrt(ivar) * flux / np.sqrt(step), axis=1),
        }
        for name, value in expected.items():
            # f32 rounding, relative; below 1e-3 the sum's own rounding counts.
            error = np.abs(scores[f"{name}_{arm}"] - value) / np.maximum(np.abs(value), 1e-3)
            assert error.max() < 2e-7, (name, arm, error.max())


def check_coadd(path):
    from desispec.io import read_spectra

    with fits.open(path) as hdus:
        hdus.verify("exception")
        for hdu, other in zip(hdus[1:], fitsio.FITS(str(path))[1:], strict=True):
            data = other.read()
            if isinstance(hdu, fits.BinTableHDU):
                assert data.dtype.names == tuple(hdu.columns.names), hdu.name
            else:
                assert np.array_equal(data, hdu.data), hdu.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spectra = read_spectra(str(path))
        for arm in "BRZ":
            for name, array in (("FLUX", spectra.flux), ("IVAR", spectra.ivar), ("MASK", spectra.mask)):
                assert np.array_equal(array[arm.lower()], hdus[f"{arm}_{name}"].data), name
            if f"{arm}_RESOLUTION" in hdus:
                data = hdus[f"{arm}_RESOLUTION"].data
                assert np.array_equal(spectra.resolution_data[arm.lower()], data)
            assert np.isfinite(hdus[f"{arm}_FLUX"].data).all()
            assert (hdus[f"{arm}_IVAR"].data >= 0).all()
        check_scores(hdus)
        return hdus["FIBERMAP"].data["TARGETID"].copy()


def check_redrock(path, targetid):
    with fits.open(path) as hdus:
        for name in ("REDSHIFTS", "FIBERMAP", "TSNR2"):
            assert np.array_equal(hdus[name].data["TARGETID"], targetid), name
        return hdus["REDSHIFTS"].data["ZWARN"].copy()


def check_catalogue(path, rows):
    with fits.open(path) as hdus:
        table = hdus["ZCATALOG"].data
        assert len(table) == len(rows), (len(table), len(rows))
        assert np.array_equal(table["TARGETID"], [row[0] for row in rows])
        assert np.array_equal(table["ZWARN"], [row[1] for row in rows])
        targets, counts = np.unique(table["TARGETID"], return_counts=True)
        of_row = counts[np.searchsorted(targets, table["TARGETID"])]
        assert np.array_equal(table["ZCAT_NSPEC"], of_row)
        assert table["ZCAT_PRIMARY"].sum() == len(targets)
        return len(hdus["ZCATALOG"].columns)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("error")
    redux = args.folder / "spectro" / "redux"
    differ = 0
    for production in sorted(path for path in redux.iterdir() if path.is_dir()):
        catalogued = {}
        for path in sorted(production.rglob("coadd-*.fits")):
            kind = path.relative_to(production).parts[0]
            redrock = path.with_name(path.name.replace("coadd-", "redrock-"))
            if not redrock.exists():
                redrock = redrock.with_name(redrock.name + ".gz")
            targetid = check_coadd(path)
            zwarn = check_redrock(redrock, targetid)
            if kind == "healpix":
                header = fits.getheader(path, 0)
                key = (header["SURVEY"], header["PROGRAM"], header["HPXPIXEL"])
                catalogued[key] = list(zip(targetid, zwarn, strict=True))
            print(path.relative_to(redux), len(targetid), "rows")
            for file, name in ((path, "coadd"), (redrock, "redrock")):
                real = REAL.get((production.name, kind, name))
                if args.real and real:
                    for line in differences(file, args.real / "tree" / "spectro" / "redux" / real):
                        differ += 1
                        print(f"   {name} differs: {line}")
        for path in sorted(production.rglob("zall-pix-*.fits")):
            table = fits.getdata(path, "ZCATALOG")
            order = dict.fromkeys(zip(table["SURVEY"], table["PROGRAM"], table["HEALPIX"], strict=True))
            rows = [row for key in order for row in catalogued[key]]
            print(path.relative_to(redux), len(rows), "rows", check_catalogue(path, rows), "columns")
    print(f"all readers agree; {differ} differences from genuine layouts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
