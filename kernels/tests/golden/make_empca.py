"""Writes empca.csv: the f64 NumPy statement of EMPCA on spectra that the Rust test makes too.

Usage: python3 make_empca.py > empca.csv    (needs NumPy)
"""

import importlib.util
from pathlib import Path

import numpy as np

PEER = Path(__file__).parents[3] / "benches" / "peers" / "empca.py"
N_SPECTRA, N_PIXELS = 60, 80


def load_peer():
    spec = importlib.util.spec_from_file_location("empca", PEER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spectra(draw):
    flux, ivar = (np.zeros((N_SPECTRA, N_PIXELS), np.float32) for _ in range(2))
    for s in range(N_SPECTRA):
        amplitude = 1.0 + 4.0 * draw.unit()
        c0, c1 = draw.unit() - 0.5, draw.unit() - 0.5
        for p in range(N_PIXELS):
            x = p / 64.0
            step = 0.5 if p >= 40 else -0.5
            model = 1.0 + x + c0 * step + c1 * (x * x - x)
            noise = 0.0625 * (draw.unit() + draw.unit() + draw.unit() - 1.5)
            missing = draw.unit() < 0.3 or 70 <= p < 72
            flux[s, p] = amplitude * (model + noise)
            ivar[s, p] = 0.0 if missing else 1024.0 / (amplitude * amplitude)
    return flux, ivar


def main():
    empca = load_peer()
    flux, ivar = spectra(empca.Draw(7))
    print("# EMPCA in f64 by benches/peers/empca.py (joint M step); written by make_empca.py.")
    for label, smooth_pixels in (("plain", 0), ("smooth", 7)):
        settings = {
            "mean_iterations": 4,
            "max_iterations": 6,
            "tolerance": 0.0,
            "seed": 1,
            "smooth_pixels": smooth_pixels,
        }
        fitted = empca.fit(flux, ivar, 2, settings)
        for name in ("mean", "basis", "sd", "explained", "mean_chi2", "chi2"):
            numbers = ",".join(f"{x:.9g}" for x in np.ravel(fitted[name]))
            print(f"{label}_{name},{numbers}")


if __name__ == "__main__":
    main()
