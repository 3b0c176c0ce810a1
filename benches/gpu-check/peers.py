"""The same operations in PyTorch on the same card: what a user would write instead. Prints one line each.

Inputs have the shapes of `device_rates`, not its numbers; nothing here is bit-reproducible, and medians, bands and
lines are left out where PyTorch has no single call for them.
"""

import sys
import time

N, P, GRID, N_VECTORS, D, K = 512, 7781, 6110, 100_000, 64, 16
ARMS = [(0, 2751), (2700, 2326), (4900, 2881)]


def main():
    try:
        import torch
    except ImportError:
        print("SKIPPED peers: no PyTorch here")
        return
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        print("SKIPPED peers: PyTorch sees no card")
        return
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if device == 'cuda' else 'the CPU'}")
    arms = [(torch.rand(N, n, device=device), torch.rand(N, n, device=device), torch.rand(N, n, device=device) > 0.998)
            for _, n in ARMS]
    flux, ivar = torch.rand(N, GRID, device=device) + 0.5, torch.rand(N, GRID, device=device)
    wide = torch.rand(N, P, device=device)
    curve, ebv = torch.rand(P, device=device), torch.full((N, 1), 1e-6, device=device)
    mean = torch.ones(GRID, device=device)
    vectors = torch.rand(N_VECTORS, D, device=device)

    def combine():
        weight, weighted = torch.zeros(N, P, device=device), torch.zeros(N, P, device=device)
        for (first, n), (f, w, masked) in zip(ARMS, arms):
            w = torch.where(masked, 0.0, w)
            weight[:, first:first + n] += w
            weighted[:, first:first + n] += w * f
        return torch.where(weight > 0, weighted / weight, 0.0), weight

    def extinction():
        e = torch.exp(curve * ebv)
        return wide * e, wide / (e * e)

    def normalize():
        a = ((ivar * mean * flux).sum(1) / (ivar * mean * mean).sum(1))[:, None]
        return flux / a - mean, ivar * a * a

    def project(basis):
        k = basis.shape[0]
        i, j = torch.tril_indices(k, k, device=device)
        gram = torch.zeros(N, k, k, device=device)
        gram[:, i, j] = ivar @ (basis[i] * basis[j]).T
        right = (ivar * flux) @ basis.T
        return torch.cholesky_solve(right[:, :, None], torch.linalg.cholesky(gram + gram.tril(-1).mT))

    def update(coeff):
        k = coeff.shape[1]
        i, j = torch.tril_indices(k, k, device=device)
        gram = torch.zeros(GRID, k, k, device=device)
        gram[:, i, j] = ivar.T @ (coeff[:, i] * coeff[:, j])
        right = (ivar * flux).T @ coeff
        return torch.cholesky_solve(right[:, :, None], torch.linalg.cholesky(gram + gram.tril(-1).mT))

    def neighbors():
        return torch.cdist(vectors[:N], vectors, compute_mode="donot_use_mm_for_euclid_dist").topk(K + 1, largest=False)

    def neighbors_by_product():
        return torch.cdist(vectors[:N], vectors, compute_mode="use_mm_for_euclid_dist").topk(K + 1, largest=False)

    def median():
        return [(f * w.sqrt()).median(1) for f, w, _ in arms]

    bases = {k: torch.linalg.qr(torch.randn(GRID, k, device=device))[0].T.contiguous() for k in (10, 64)}
    coeffs = {k: torch.randn(N, k, device=device) for k in (10, 64)}
    work = {
        "combine_arms": combine,
        "median_snr": median,
        "extinction": extinction,
        "normalize": normalize,
        "project, 10": lambda: project(bases[10]),
        "update_basis, 10": lambda: update(coeffs[10]),
        "project, 64": lambda: project(bases[64]),
        "update_basis, 64": lambda: update(coeffs[64]),
        "nearest_neighbors": neighbors,
        "  by matrix product": neighbors_by_product,
    }
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for name, call in work.items():
        best = float("inf")
        for _ in range(6):
            wait()
            start = time.perf_counter()
            call()
            wait()
            best = min(best, time.perf_counter() - start)
        print(f"{name:<20}  {best * 1e3:9.3f} ms {N / best:10.0f} spectra/s")


main()
