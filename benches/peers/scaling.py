"""What every stage costs against the number of targets, and what that says of DR1.

What: simulated releases of 10^3, 10^4, 3 10^4 and 10^5 targets, each run stage by stage: seconds, processor seconds and peak
memory of every stage; a fit of a + b N to each (of neighbours + c N², by pairs); and a prediction for DR1 on CPU nodes.
Why: a stage that holds on a laptop's sample must hold on 18.7 million targets.
Sources: wait4(2) for seconds and memory; DESI DR1 (arXiv:2503.14745) for the counts.

    make bench-scaling
    python scaling.py --specmill target/release/specmill --work .cache/bench/scaling [--targets 1000 10000 100000]

Releases are removed once they are run. `load` goes to the run's private server (SPECMILL_POSTGRES), whose memory is
not counted, and is left out where there is none. Written: `scaling.json` and `scaling.md` in --runs' newest folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import nnls

from machine import charged, describe, last_stage, record_folder, said, stamp, write_run_file

TARGETS_PER_UNIT = 500
STAGES = ("inventory", "extract", "fit-basis", "embed", "neighbors", "load")
DR1 = {"targets": 18.7e6, "GALAXY": 13.1e6, "QSO": 1.6e6}
# CPU nodes of the cluster, their vCPU, and its network, 10 GbE.
NODES, CORES, NETWORK = 4, 12, 1.1e9
# FLUX, IVAR and MASK of a target's arms.
READ_BYTES = 12 * 7958
# The cluster's card: its f32 peak by its data sheet, and the share of it that is the bar.
CARD = {"name": "RTX A4000", "tflop_per_s": 19.2, "share": 0.6}
DIMENSIONS = {"GALAXY": 5, "QSO": 10}


def vectors_of(folder: Path) -> dict[str, int]:
    """Vectors of each model: what neighbours are searched among."""
    counts = {}
    for model in sorted((folder / "embeddings").iterdir()):
        files = model.rglob("*.parquet")
        counts[model.name] = sum(
            sum(state == "done" for state in pq.read_table(file, columns=["state"])["state"].to_pylist())
            for file in files
        )
    return counts


def dimensions_of(model: str) -> int:
    """Numbers of a model's vectors, by the class it is of."""
    return next(d for name, d in DIMENSIONS.items() if name in model.upper())


def run_stage(specmill: Path, run_file: Path, folder: Path, stage: str, threads: int) -> dict:
    """One stage of a run: what it cost, and its rows."""
    if stage == "load":
        charged([specmill, "db", "start", run_file])
        try:
            charged([specmill, "db", "migrate", run_file])
            return charged([specmill, "db", "load", run_file])
        finally:
            charged([specmill, "db", "stop", run_file])
    cost = charged([specmill, "run", run_file, "--stage", stage, "--threads", threads])
    if stage == "inventory":
        return cost
    row = last_stage(folder, stage)
    return {**cost, "rows": row["rows_in"], "stage_seconds": row["seconds"], "bytes_out": row["bytes_out"]}


def run_release(args: argparse.Namespace, targets: int, threads: int) -> list[dict]:
    """Every stage over one release."""
    work = args.work.resolve()
    sim, folder, run_file = work / f"sim-{targets}", work / "run", work / "run.toml"
    for old in (sim, folder):
        shutil.rmtree(old, ignore_errors=True)
    charged([
        args.specmill, "simulate", "--out", sim, "--targets", targets, "--targets-per-unit",
        min(targets, TARGETS_PER_UNIT),
    ])  # fmt: skip
    write_run_file(run_file, sim, folder)
    try:
        return stages_of(args.specmill, run_file, folder, (targets, threads))
    finally:
        shutil.rmtree(sim, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def stages_of(specmill: Path, run_file: Path, folder: Path, size: tuple[int, int]) -> list[dict]:
    """Every stage of a run, with the vectors that it left."""
    (targets, threads), rows = size, []
    for stage in STAGES:
        if stage == "load" and not os.environ.get("SPECMILL_POSTGRES"):
            print("SKIPPED load: SPECMILL_POSTGRES names no PostgreSQL", file=sys.stderr)
            continue
        cost = run_stage(specmill, run_file, folder, stage, threads)
        rows.append({"stage": stage, "targets": targets, "threads": threads, **cost})
        print(f"{stage:10s} {targets:7d} {cost['wall_seconds']:8.2f} s {cost['cpu_seconds']:8.2f} cpu s "
              f"{cost['peak_memory_mib']:6.0f} MiB", file=sys.stderr)  # fmt: skip
    vectors = vectors_of(folder)
    for row in rows:
        row["vectors"] = vectors
        row["n_vectors"] = sum(vectors.values())
        row["pair_dimensions"] = sum(n * n * dimensions_of(model) for model, n in vectors.items())
    return rows


def fitted(rows: list[dict], stage: str) -> dict:
    """a + b N of processor seconds, of neighbours by vectors and + c of their pairs times dimensions; none below 0, and relative residuals
    least, so that every size says as much. `fit-basis` takes a bounded sample: what it last cost it costs."""
    of_stage = [row for row in rows if row["stage"] == stage]
    seconds = np.array([row["cpu_seconds"] for row in of_stage])
    ones = np.ones_like(seconds)
    n = np.array([float(row["targets"]) for row in of_stage])
    vectors = np.array([float(row["n_vectors"]) for row in of_stage])
    pairs = np.array([float(row["pair_dimensions"]) for row in of_stage])
    if stage == "fit-basis":
        terms, values = {"fixed": ones}, seconds[-1:]
    else:
        of_size = {"per_vector": vectors, "per_pair_dimension": pairs} if stage == "neighbors" else {"per_target": n}
        terms = {"fixed": ones} | of_size
        # Terms of like size, for the solver's sake.
        design = np.stack([term / term.max() / seconds for term in terms.values()], axis=1)
        values = nnls(design, ones)[0] / [term.max() for term in terms.values()]
    made = sum(value * term for value, term in zip(values, terms.values(), strict=True))
    seconds_per = dict(zip(terms, map(float, values), strict=True))
    # As many terms as sizes leave nothing over that would judge them.
    worst = float(np.abs(made / seconds - 1.0).max()) if 1 < len(terms) < len(seconds) else None
    return {"stage": stage, "cpu_seconds": seconds_per, "worst_residual": worst}


def predict(fits: dict[str, dict]) -> list[dict]:
    """DR1 by the fits: processor seconds, and hours on the nodes; on the card by its peak alone."""
    cores = NODES * CORES
    lines = []

    def line(stage: str, where: str, cpu_seconds: float | None, seconds: float) -> None:
        cpu_hours = None if cpu_seconds is None else cpu_seconds / 3600
        lines.append({"stage": stage, "where": where, "cpu_hours": cpu_hours, "hours": seconds / 3600})

    for stage, fit in fits.items():
        if stage == "neighbors":
            continue
        cost = fit["cpu_seconds"]
        seconds = cost["fixed"] + cost.get("per_target", 0.0) * DR1["targets"]
        # Units of these are shared among the nodes; one program does the others.
        is_shared = stage in ("extract", "embed")
        line(stage, f"{cores} cores" if is_shared else "1 core", seconds, seconds / (cores if is_shared else 1))
    line("extract", "the network alone, 1.1 GB/s for FLUX, IVAR, MASK", None, DR1["targets"] * READ_BYTES / NETWORK)
    for name, d in DIMENSIONS.items():
        pairs = DR1[name] ** 2
        cost = fits["neighbors"]["cpu_seconds"]
        seconds = cost["fixed"] + cost["per_vector"] * DR1[name] + cost["per_pair_dimension"] * pairs * d
        line(f"neighbors, {name}", f"{cores} cores", seconds, seconds / cores)
        card = 4.0 * pairs * d / (CARD["share"] * CARD["tflop_per_s"] * 1e12)
        line(f"neighbors, {name}", f"{CARD['name']}, unmeasured: {CARD['share']:.0%} of its f32 peak", None, card)
    return lines


def render(record: dict) -> str:
    """The tables people read."""
    machine = record["machine"]
    lines = [
        f"# Cost against size, {record['date']}: {machine['cpu']}, {machine['simd']}, {machine['cores']} cores",
        "",
        f"Commit {record['commit']}, {record['threads']} compute threads, load average {record['load'][0]:.1f} before, "
        f"{record['load'][1]:.1f} after; `make bench-scaling`. Simulated targets in files of {TARGETS_PER_UNIT}, digests off; "
        "every stage a process of its own, the server's own work and memory not counted.",
        "",
        "| stage | targets | seconds | processor s | processor µs a target | peak MiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for stage in STAGES:
        for row in record["stages"]:
            if row["stage"] == stage:
                lines.append(
                    f"| {stage} | {row['targets']} | {row['wall_seconds']:.2f} | {row['cpu_seconds']:.2f} "
                    f"| {row['cpu_seconds'] / row['targets'] * 1e6:.0f} | {row['peak_memory_mib']:.0f} |"
                )
    lines += [
        "",
        "Fits of processor seconds, every size with the same relative weight; `fit-basis`, of a bounded sample, as it last was:",
        "",
        "| stage | fixed, s | a target (neighbours: a vector), µs | a pair and dimension, ns | worst residual |",
        "|---|---:|---:|---:|---:|",
    ]
    for fit in record["fits"]:
        cost = fit["cpu_seconds"]
        target, pair = cost.get("per_target", cost.get("per_vector")), cost.get("per_pair_dimension")
        worst = "–" if fit["worst_residual"] is None else f"{fit['worst_residual']:.0%}"
        lines.append(
            f"| {fit['stage']} | {cost['fixed']:.2f} | {'–' if target is None else f'{target * 1e6:.1f}'} "
            f"| {'–' if pair is None else f'{pair * 1e9:.3f}'} | {worst} |"
        )
    lines += [
        "",
        "## Prediction for DR1 (not a measurement)",
        "",
        f"18.7 M targets, 13.1 M galaxies and 1.6 M QSOs; {NODES} nodes of {CORES} vCPU, each as fast as a core here and "
        "all at work at once, files delivered as fast as they are asked for; one RTX A4000. Neighbours are exact, so their "
        "cost is quadratic, and searched within each class, as if every target of it had a vector. No card has been measured: "
        "its rows are a subtraction and a fused multiply-add a pair and dimension, four operations of its peak, nothing else. `load` is the program's own processor time: the "
        "server's, and its indexes, come on top.",
        "",
        "| stage | where | processor h | hours |",
        "|---|---|---:|---:|",
    ]
    for line in record["prediction"]:
        cpu = "–" if line["cpu_hours"] is None else f"{line['cpu_hours']:.2f}"
        lines.append(f"| {line['stage']} | {line['where']} | {cpu} | {line['hours']:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the arguments, measures, fits, prints, records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specmill", type=Path, required=True, help="the release binary, with its neighbours")
    parser.add_argument("--work", type=Path, required=True, help="folder for releases and runs")
    parser.add_argument("--runs", type=Path, help="folder for the record: benches/runs")
    parser.add_argument("--targets", type=int, nargs="+", default=[1000, 10_000, 30_000, 100_000])
    args = parser.parse_args()
    args.specmill = args.specmill.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()[0]
    machine = describe(said([args.specmill.with_name("machine_limits"), args.work])["simd"])
    rows = [row for targets in args.targets for row in run_release(args, targets, machine["cores"])]
    stages = [stage for stage in STAGES if any(row["stage"] == stage for row in rows)]
    fits = {stage: fitted(rows, stage) for stage in stages}
    record = {
        **stamp(machine),
        "threads": machine["cores"],
        "load": [before, os.getloadavg()[0]],
        "stages": rows,
        "fits": list(fits.values()),
        "prediction": predict(fits),
    }
    text = render(record)
    print(text)
    if args.runs:
        folder = record_folder(args.runs, machine)
        (folder / "scaling.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        (folder / "scaling.md").write_text(text)
        peers = folder / "peers.json"
        if peers.exists():
            beside = {**json.loads(peers.read_text()), "scaling": rows}
            peers.write_text(json.dumps(beside, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
