"""How good the vectors of a simulated release are, by its truth: what neighbours share, and whether repeats meet.

    judge_embeddings.py RUN_FOLDER TRUTH.csv...

For every model of RUN_FOLDER: the reasons for which spectra have no vector; of the 10 nearest neighbours (repeats of
the same target left out) the share with the target's simulated subtype, beside the share that chance would give; how
often a target observed twice, both times with S/N > 5, finds itself first; and how far neighbours lie from each other in
redshift, beside random pairs.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

NEIGHBOURS = 10
LEAST_SNR = 5.0


def read_truth(paths):
    truth = {}
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                snr = sorted(float(row[f"snr_{arm}"]) for arm in "brz")
                truth[row["unit"], int(row["targetid"])] = (row["subtype"], snr)
    return truth


def keys(table, prefix=""):
    return list(zip(table[f"{prefix}unit"].to_pylist(), table[f"{prefix}targetid"].to_pylist()))


def read_vectors(folder):
    tables = [pq.read_table(path).replace_schema_metadata(None) for path in sorted(folder.rglob("*.parquet"))]
    return pa.concat_tables(tables)


def judge_subtypes(pairs, done, truth):
    counts = Counter(truth[key][0] for key in done)
    hits, asked = Counter(), Counter()
    for key, other in pairs:
        asked[truth[key][0]] += 1
        hits[truth[key][0]] += truth[key][0] == truth[other][0]
    for subtype, count in sorted(counts.items()):
        share, chance = hits[subtype] / asked[subtype], (count - 1) / (len(done) - 1)
        print(f"  {subtype:<16} {count:>6} targets: {share:.2f} of neighbours alike, {chance:.2f} by chance")


def judge_repeats(first, done, truth):
    targets = {}
    for key in done:
        targets.setdefault(key[1], []).append(key)
    for place, arms in enumerate(["every arm", "two arms", "one arm"]):
        bright = [
            key
            for repeats in targets.values()
            if len(repeats) > 1 and all(truth[key][1][place] > LEAST_SNR for key in repeats)
            for key in repeats
        ]
        found = sum(first[key][1] == key[1] for key in bright)
        share = f"{found / len(bright):.2f}" if bright else "-"
        print(f"  observed twice, S/N > {LEAST_SNR:g} in {arms}: first is itself {share} ({found} of {len(bright)})")


def judge_redshifts(pairs, z):
    here, there = (np.array([z[pair[i]] for pair in pairs]) for i in (0, 1))
    every = np.array(list(z.values()))
    random = np.abs(every - np.random.default_rng(1).permutation(every)).mean()
    correlation = np.corrcoef(here, there)[0, 1]
    print(
        f"  mean |dz| of neighbours {np.abs(here - there).mean():.3f}, of random pairs {random:.3f}; "
        f"correlation of their redshifts {correlation:.2f}"
    )


def main():
    run, truth = Path(sys.argv[1]), read_truth(sys.argv[2:])
    for folder in sorted((run / "embeddings").iterdir()):
        table = read_vectors(folder)
        reasons = Counter(reason or "vector" for reason in table["reason"].to_pylist())
        print(f"{folder.name}: {dict(reasons)}")
        table = table.filter(pa.compute.equal(table["state"], "done"))
        done, z = keys(table), dict(zip(keys(table), table["z"].to_pylist()))
        neighbours = pq.read_table(run / "neighbors" / f"{folder.name}.parquet", filters=[("metric", "==", "l2")])
        rows = list(
            zip(
                keys(neighbours),
                keys(neighbours, "neighbor_"),
                neighbours["rank"].to_pylist(),
                neighbours["same_target"].to_pylist(),
            )
        )
        pairs = [(key, other) for key, other, rank, same in rows if rank <= NEIGHBOURS and not same]
        first = {key: other for key, other, rank, _ in rows if rank == 1}
        judge_subtypes(pairs, done, truth)
        judge_repeats(first, done, truth)
        judge_redshifts(pairs, z)


if __name__ == "__main__":
    main()
