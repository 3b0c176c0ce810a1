"""Writes dn4000.csv: FastSpecFit's Dn(4000) of spectra that the Rust test makes too.

Usage: python3 make_dn4000.py > dn4000.csv    (needs fastspecfit 3.6.1 and NumPy)
"""

import importlib.metadata

import numpy as np
from fastspecfit.photometry import Photometry

VERSION = "3.6.1"
N_PIXELS = 3200


class Draws:
    """The generator of tests/windows/mod.rs."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 32) / 2**32


def spectrum(seed):
    draws = Draws(seed)
    flux, ivar = np.zeros(N_PIXELS, np.float32), np.zeros(N_PIXELS, np.float32)
    for p in range(N_PIXELS):
        base = 1.0 + p / 4096.0
        sigma = 0.125 + 0.25 * draws.uniform()
        noise = draws.uniform() + draws.uniform() + draws.uniform() - 1.5
        missing = draws.uniform() < 0.02
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
