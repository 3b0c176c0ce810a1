"""EMPCA (Bailey 2012, PASP 124 1015) stated in f64 NumPy: slow, obvious, and used only to judge.

    empca.py compare FOLDER [--components K]   our fit in FOLDER (embed_rates fit) beside this one
    empca.py rates [--spectra N]               the projection by NumPy's matrix product, spectra per second
    empca.py iterations FOLDER [--spectra N] [--components K]
                                               spectra made in FOLDER (flux.f32, ivar.f32), and NumPy's iterations on
                                               them, spectra × iterations per second

As a module: `fit` is the whole fit, with the joint M step (all components of a pixel at once, the minimiser of
χ²) or the sequential one of the paper (each component after taking off those before it), which with gaps and
unequal errors comes to rest at a higher χ².
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
# Exported by some environments; they halve NumPy's matrix products.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

# ruff: noqa: E402
import argparse
import json
import time
from pathlib import Path

import numpy as np

MASK = 2**64 - 1
# The galaxies' grid.
N_PIXELS = 6110


class Draw:
    """SplitMix64 (Steele, Lea & Flood 2014)."""

    def __init__(self, seed):
        self.state = seed

    def unit(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        x = self.state
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        return ((x ^ (x >> 31)) >> 11) / 2**53


def clean(values, weights):
    good = np.isfinite(values) & np.isfinite(weights) & (weights > 0)
    return np.where(good, values, 0.0).astype(float), np.where(good, weights, 0.0).astype(float)


def project(x, w, basis):
    """The E step: coefficients by weighted least squares, NaN where there are too few pixels."""
    k = len(basis)
    coeff = np.full((len(x), k), np.nan)
    for s in range(len(x)):
        good = w[s] > 0
        if good.sum() > k:
            root = np.sqrt(w[s, good])
            solution, _, rank, _ = np.linalg.lstsq((basis[:, good] * root).T, x[s, good] * root, rcond=1e-10)
            if rank == k:
                coeff[s] = solution
    return coeff


def chi2(x, w, basis, coeff):
    used = np.isfinite(coeff).all(axis=1)
    return float((w[used] * (x[used] - coeff[used] @ basis) ** 2).sum())


def update_jointly(x, w, coeff):
    """The M step: every pixel's least squares for all components at once, 0 where there are too few spectra."""
    used = np.isfinite(coeff).all(axis=1) & (coeff != 0).any(axis=1)
    x, w, coeff = x[used], w[used], coeff[used]
    k, n_pixels = coeff.shape[1], x.shape[1]
    basis, count = np.zeros((k, n_pixels)), (w > 0).sum(axis=0)
    for p in range(n_pixels):
        if count[p] >= k:
            left = (coeff * w[:, p, None]).T @ coeff
            basis[:, p] = np.linalg.solve(left, coeff.T @ (w[:, p] * x[:, p]))
        else:
            count[p] = 0
    return basis, count


def update_one_by_one(x, w, coeff):
    """The M step as in the paper: one component after another, each taken off before the next."""
    used = np.isfinite(coeff).all(axis=1) & (coeff != 0).any(axis=1)
    x, w, coeff = x[used].copy(), w[used], coeff[used]
    basis = np.zeros((coeff.shape[1], x.shape[1]))
    for j, c in enumerate(coeff.T):
        norm = (w * c[:, None] ** 2).sum(axis=0)
        np.divide((w * c[:, None] * x).sum(axis=0), norm, out=basis[j], where=norm > 0)
        x -= np.outer(c, basis[j])
    return basis, (w > 0).sum(axis=0)


def orthonormal(basis):
    rows = []
    for row in basis:
        for _ in range(2):
            for other in rows:
                row = row - (row @ other) * other
        rows.append(row / np.sqrt(row @ row))
    return np.array(rows)


def smooth(row, covered, window):
    """Local cubics (a parabola for 5 pixels) through the covered pixels of a window."""
    if window == 0:
        return row
    half, order = window // 2, 2 if window == 5 else 3
    out = row.copy()
    for p in np.flatnonzero(covered):
        near = np.arange(max(0, p - half), min(len(row), p + half + 1))
        near = near[covered[near]]
        if len(near) >= order + 3:
            out[p] = np.polynomial.polynomial.polyfit((near - p) / half, row[near], order)[0]
    return out


def fit_mean(flux, ivar, iterations, tolerance):
    mean, history, count = np.ones(flux.shape[1]), [], None
    for iteration in range(iterations + 1):
        amplitude = project(flux, ivar, mean[None])
        history.append(chi2(flux, ivar, mean[None], amplitude))
        if stands_still(history, tolerance) or iteration == iterations:
            break
        positive = np.where(np.nan_to_num(amplitude) > 0, amplitude, 0.0)
        update, count = update_jointly(flux, ivar, positive)
        mean = update[0] / (update[0].sum() / (count > 0).sum())
    return mean, count, history


def stands_still(history, tolerance):
    return len(history) > 1 and abs(history[-2] - history[-1]) <= tolerance * history[-1]


def normalize(flux, ivar, mean):
    w = ivar * (mean != 0)
    norm = (w * mean**2).sum(axis=1)
    amplitude = np.divide((w * flux * mean).sum(axis=1), norm, out=np.zeros(len(flux)), where=norm > 0)
    keep = (w > 0) & (amplitude > 0)[:, None]
    x = np.divide(flux, amplitude[:, None], out=np.zeros_like(flux), where=keep) - mean
    return amplitude, np.where(keep, x, 0.0), np.where(keep, w * amplitude[:, None] ** 2, 0.0)


def fit(flux, ivar, components, settings, update=update_jointly):
    """Mean, components on principal axes, standard deviations and χ², as `specmill_kernels::empca::fit_basis`."""
    flux, ivar = clean(flux, ivar)
    mean, count, mean_chi2 = fit_mean(flux, ivar, settings["mean_iterations"], settings["tolerance"])
    _, x, w = normalize(flux, ivar, mean)
    draw, covered = Draw(settings["seed"]), (count > 0) & (mean != 0)
    start = np.array([[2.0 * draw.unit() - 1.0 for _ in range(len(mean))] for _ in range(components)])
    basis, history = orthonormal(start * covered), []
    for iteration in range(settings["max_iterations"] + 1):
        coeff = project(x, w, basis)
        history.append(chi2(x, w, basis, coeff))
        if stands_still(history, settings["tolerance"]) or iteration == settings["max_iterations"]:
            break
        basis, count = update(x, w, coeff)
        covered = (count > 0) & (mean != 0)
        basis = orthonormal(np.array([smooth(row, covered, settings["smooth_pixels"]) for row in basis]))
    used = coeff[np.isfinite(coeff).all(axis=1)]
    moments, axes = np.linalg.eigh(used.T @ used)
    basis = orthonormal(axes[:, ::-1].T @ basis)
    largest = np.abs(basis).argmax(axis=1)
    basis *= np.sign(basis[np.arange(components), largest])[:, None]
    coeff = project(x, w, basis)
    used = np.isfinite(coeff).all(axis=1)
    left = [(w[used] * x[used] ** 2).sum()]
    for j in range(components):
        part = project(x[used], w[used], basis[: j + 1])
        left.append((w[used] * (x[used] - part @ basis[: j + 1]) ** 2).sum())
    return {
        "mean": mean,
        "basis": basis,
        "sd": coeff[used].std(axis=0, ddof=1),
        "explained": 1.0 - np.array(left[1:]) / left[0],
        "mean_chi2": np.array(mean_chi2),
        "chi2": np.array(history),
        "coeff": coeff,
    }


def principal_sines(a, b):
    """Sines of the angles between two subspaces of orthonormal rows, largest first."""
    a, b = orthonormal(a), orthonormal(b)
    return np.linalg.svd(a - (a @ b.T) @ b, compute_uv=False)


def aligned_error(ours, theirs):
    """Largest difference of coefficients after the best rotation, over their standard deviation."""
    good = np.isfinite(theirs).all(axis=1) & (ours != 0).any(axis=1)
    u, _, v = np.linalg.svd(ours[good].T @ theirs[good])
    return float(np.abs(ours[good] @ (u @ v) - theirs[good]).max() / theirs[good].std())


def compare(folder, components):
    """Our fit, read from raw little-endian files, beside both forms of this statement."""
    read = lambda name, dtype="<f4": np.fromfile(folder / name, dtype)
    report = json.loads((folder / "fit.json").read_text())
    n_pixels = report["n_pixels"]
    flux, ivar = (read(name).reshape(-1, n_pixels) for name in ("flux.f32", "ivar.f32"))
    ours = read("basis.f32").reshape(components, n_pixels).astype(float)
    coeff = read("coeff.f32").reshape(-1, components).astype(float)
    print(f"{len(flux)} spectra x {n_pixels} pixels, {components} components")
    for name, update in (("joint", update_jointly), ("sequential", update_one_by_one)):
        start = time.perf_counter()
        theirs = fit(flux, ivar, components, report["settings"], update)
        seconds = time.perf_counter() - start
        sines = principal_sines(ours, theirs["basis"])
        line = {
            "m_step": name,
            "largest_sine": float(sines[0]),
            "coeff_error_sd": aligned_error(coeff, theirs["coeff"]),
            "chi2_relative": float(report["chi2"][-1] / theirs["chi2"][-1] - 1.0),
            "iterations": [len(report["chi2"]) - 1, len(theirs["chi2"]) - 1],
            "mean_largest_difference": float(np.abs(read("mean.f32") - theirs["mean"]).max()),
            "seconds": [report["seconds"], seconds],
        }
        print(json.dumps(line))


def rates(n_spectra):
    """Gram matrices of all spectra by one matrix product with the pair products, then solve and χ²."""
    n_pixels, rng = 5000, np.random.default_rng(1)
    x = rng.random((n_spectra, n_pixels), dtype=np.float32) - np.float32(0.5)
    w = np.maximum(rng.random((n_spectra, n_pixels), dtype=np.float32) - np.float32(0.1), 0)
    for k in (10, 64):
        basis = (rng.random((k, n_pixels), dtype=np.float32) - np.float32(0.5)) * np.float32(0.05)
        i, j = np.tril_indices(k)
        solve_seconds, all_seconds = [], []
        for _ in range(4):
            start = time.perf_counter()
            pairs = np.ascontiguousarray((basis[i] * basis[j]).T)
            left, wx = w @ pairs, w * x
            right = wx @ basis.T
            full = np.zeros((n_spectra, k, k))
            full[:, i, j] = full[:, j, i] = left
            coeff = np.linalg.solve(full, right[..., None].astype(float))[..., 0].astype(np.float32)
            solve_seconds.append(time.perf_counter() - start)
            residual = x - coeff @ basis
            (w * residual * residual).sum(axis=1), (wx * x).sum(axis=1)
            all_seconds.append(time.perf_counter() - start)
        print(json.dumps({
            "peer": "numpy pair products",
            "components": k,
            "coefficients_per_s": round(n_spectra / min(solve_seconds)),
            "with_chi2_per_s": round(n_spectra / min(all_seconds)),
        }))


def made(n_spectra):
    """Galaxies of a kind: five smooth shapes about a mean, noise, and one pixel in ten without data."""
    rng = np.random.default_rng(1)
    phase = np.arange(N_PIXELS) / N_PIXELS
    shapes = np.array([np.sin((j + 1) * np.pi * phase + j) for j in range(5)])
    signal = 1.0 + 0.3 * phase + rng.normal(0.0, 0.2, (n_spectra, 5)) @ shapes
    ivar = rng.uniform(5.0, 50.0, (n_spectra, N_PIXELS)) * (rng.random((n_spectra, N_PIXELS)) > 0.1)
    flux = signal * rng.lognormal(0.0, 0.5, (n_spectra, 1)) + rng.normal(0.0, 0.2, (n_spectra, N_PIXELS))
    return flux.astype("<f4"), ivar.astype("<f4")


def solve_each(x, w, basis):
    """The E step, spectrum by spectrum through its normal equations."""
    coeff = np.empty((len(x), len(basis)))
    for s in range(len(x)):
        weighted = basis * w[s]
        coeff[s] = np.linalg.solve(weighted @ basis.T, weighted @ x[s])
    return coeff


def solve_at_once(x, w, basis):
    """The E step of all spectra by one matrix product with the components' pair products."""
    k = len(basis)
    i, j = np.tril_indices(k)
    left = np.zeros((len(x), k, k))
    left[:, i, j] = left[:, j, i] = w @ np.ascontiguousarray((basis[i] * basis[j]).T)
    return np.linalg.solve(left, ((w * x) @ basis.T)[..., None])[..., 0]


def iterations(folder, n_spectra, components):
    """Rates of one E and one M step: as published, spectrum by spectrum and component by component, and both steps
    as matrix products of pair products, in f64 and f32."""
    flux, ivar = made(n_spectra)
    folder.mkdir(parents=True, exist_ok=True)
    flux.tofile(folder / "flux.f32")
    ivar.tofile(folder / "ivar.f32")
    _, x, w = normalize(*clean(flux, ivar), np.ones(N_PIXELS))
    start = orthonormal(np.random.default_rng(2).normal(size=(components, N_PIXELS)))
    report = {"n_spectra": n_spectra, "n_pixels": N_PIXELS, "components": components}
    forms = {
        "published_per_s": (np.float64, lambda x, w, basis: update_one_by_one(x, w, solve_each(x, w, basis))[0]),
        "pair_products_f64_per_s": (np.float64, lambda x, w, basis: pixels_at_once(x, w, solve_at_once(x, w, basis))),
        "pair_products_f32_per_s": (np.float32, lambda x, w, basis: pixels_at_once(x, w, solve_at_once(x, w, basis))),
    }
    for name, (dtype, step) in forms.items():
        own, weight, basis = x.astype(dtype), w.astype(dtype), start.astype(dtype)
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            basis = orthonormal(step(own, weight, basis)).astype(dtype)
            seconds.append(time.perf_counter() - began)
        if not np.isfinite(basis).all():
            raise SystemExit(f"{name}: the components are not finite")
        report[name] = n_spectra / min(seconds)
    print(json.dumps(report))


def pixels_at_once(x, w, coeff):
    """The joint M step, of which the normal equations of all pixels are one matrix product."""
    return solve_at_once(np.ascontiguousarray(x.T), np.ascontiguousarray(w.T), np.ascontiguousarray(coeff.T.astype(x.dtype))).T


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["compare", "rates", "iterations"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--components", type=int, default=5)
    parser.add_argument("--spectra", type=int, default=960)
    arguments = parser.parse_args()
    if arguments.task == "compare":
        compare(arguments.folder, arguments.components)
    elif arguments.task == "iterations":
        iterations(arguments.folder, arguments.spectra, arguments.components)
    else:
        rates(arguments.spectra)


if __name__ == "__main__":
    main()
