"""Our exact neighbours beside naive f64 and faiss's flat indices, on the same vectors in one run.

    neighbors.py EMBED_RATES [--rows 20000 100000] [--queries 10000]

EMBED_RATES is the built `embed_rates` program. On the first number of rows every query is judged: rows equal
wherever the f64 gap to the next exceeds 1e-5 of the distance, distances within 1e-5; with --rows N alone nothing is
judged but the rows shared with faiss's. Rates are single-threaded, ours and faiss's in turns.
"""

import os

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = "1"
try:
    with open("/proc/cpuinfo") as cpuinfo:
        has_avx512 = "avx512dq" in cpuinfo.read()
except OSError:
    has_avx512 = False
if has_avx512:
    # faiss brings a BLAS of its own, which takes an unknown core for an older one.
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np

D, K, REPEATS = 64, 16, 4


def clustered(n, rng):
    """Gaussian clusters; one vector in fifty copies another."""
    centres = rng.normal(0.0, 2.0, (40, D))
    vectors = (centres[rng.integers(0, 40, n)] + rng.normal(0.0, 1.0, (n, D))).astype("<f4")
    copies = rng.integers(0, n, n // 50)
    vectors[copies] = vectors[rng.integers(0, n, len(copies))]
    return vectors


def ours(program, vectors, n_queries):
    with tempfile.TemporaryDirectory() as folder:
        vectors.tofile(Path(folder) / "vectors.f32")
        command = [program, "neighbors", folder, str(D), str(K), str(n_queries)]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows = np.fromfile(Path(folder) / "index.u32", "<u4").reshape(-1, K)
        dist2 = np.fromfile(Path(folder) / "dist2.f32", "<f4").reshape(-1, K)
    return rows, dist2, report["queries_per_s"]


def naive(vectors, queries):
    """The K + 1 nearest other rows in f64, ties by row."""
    wide = vectors.astype(float)
    for q in queries:
        dist2 = ((wide - wide[q]) ** 2).sum(axis=1)
        dist2[q] = np.inf
        near = np.argpartition(dist2, K + 8)[: K + 8]
        order = near[np.lexsort((near, dist2[near]))][: K + 1]
        yield q, order, dist2[order]


def judge(vectors, rows, dist2, queries):
    judged = worst = wrong = ties = 0
    for q, order, truth in naive(vectors, queries):
        error = np.abs(dist2[q] - truth[:K])
        worst = max(worst, float((error / np.maximum(truth[:K], 1e-30)).max()))
        below = np.concatenate([[True], np.diff(truth[:K]) > 1e-5 * truth[1:K]])
        above = np.diff(truth) > 1e-5 * truth[1:]
        alone = below & above
        judged, ties = judged + int(alone.sum()), ties + int((~alone).sum())
        wrong += int((rows[q][alone] != order[:K][alone]).sum())
    return {"judged": judged, "ties": ties, "wrong_rows": wrong, "worst_relative_distance": worst}


def faiss_rate(index, vectors, n_queries):
    index.add(vectors)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        distances, rows = index.search(vectors[:n_queries], K + 1)
        seconds.append(time.perf_counter() - start)
    return n_queries / min(seconds), distances, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embed_rates")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--queries", type=int, default=10_000)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    print(json.dumps({"faiss": faiss.__version__, "numpy": np.__version__, "d": D, "k": K}))
    for i, n in enumerate(arguments.rows):
        vectors = clustered(n, np.random.default_rng(1))
        n_queries = min(n, arguments.queries)
        rows, dist2, rate = ours(arguments.embed_rates, vectors, n_queries)
        l2_rate, _, l2_rows = faiss_rate(faiss.IndexFlatL2(D), vectors, n_queries)
        unit = (vectors / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)).astype("<f4")
        ip_rate, _, _ = faiss_rate(faiss.IndexFlatIP(D), unit, n_queries)
        line = {
            "rows": n,
            "queries": n_queries,
            "ours_per_s": rate,
            "faiss_l2_per_s": round(l2_rate),
            "faiss_ip_per_s": round(ip_rate),
            "ratio_l2": round(rate / l2_rate, 2),
            "rows_shared_with_faiss": float(np.mean([np.isin(a, b).mean() for a, b in zip(rows, l2_rows)])),
        }
        if i == 0 and len(arguments.rows) > 1:
            line.update(judge(vectors, rows, dist2, range(0, n_queries)))
        print(json.dumps(line))


if __name__ == "__main__":
    main()
