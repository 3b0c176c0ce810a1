"""Writes dn4000.csv: FastSpecFit's Dn(4000) of spectra that the Rust test makes too.

Usage: python3 make_dn4000.py > dn4000.csv    (needs fastspecfit 3.6.1 and NumPy)
"""

import importlib.metadata

import numpy as np
from fastspecfit.photometry import Photometry

VERSION = "3.6.1"
N_PIXELS = 3200


class Draw:
    """SplitMix64, as in tests/conformance/cases.rs."""

    def __init__(self, seed):
        self.state = seed

    def unit(self):
        mask = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        x = self.state
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return ((x ^ (x >> 31)) >> 11) / 2**53


def spectrum(seed):
    draw = Draw(seed)
    flux, ivar = np.zeros(N_PIXELS, np.float32), np.zeros(N_PIXELS, np.float32)
    for p in range(N_PIXELS):
        base = 1.0 + p / 4096.0
        sigma = 0.125 + 0.25 * draw.unit()
        noise = draw.unit() + draw.unit() + draw.unit() - 1.5
        missing = draw.unit() < 0.02
        flux[p] = base + 2.0 * sigma * noise
        ivar[p] = 0.0 if missing else 1.0 / (sigma * sigma)
    return flux.astype(float), ivar.astype(float)


def main():
    version = importlib.metadata.version("fastspecfit")
    assert version == VERSION, version
    wave = 3600.0 + 0.8 * np.arange(N_PIXELS)
    print(f"# Dn(4000) by fastspecfit {VERSION} (Photometry.get_dn4000); written by make_dn4000.py.")
    print("seed,z,dn4000")
    for seed in range(1, 31):
        z = (seed - 1) * 0.0137
        flux, ivar = spectrum(seed)
        value, value_ivar = Photometry.get_dn4000(wave, flux, flam_ivar=ivar, redshift=z, rest=False)
        assert value_ivar > 0.0, (seed, z)
        print(f"{seed},{z:.4f},{value:.12f}")


if __name__ == "__main__":
    main()
