"""Our rates beside the peers', on the same simulated files, in one run; a table and a record.

What: simulates 20 coadds of 514 targets (RESOLUTION as holes), then in turn: our reading and combining
(`read_combine`), fitsio and NumPy doing the same (`read_combine.py`), and `specmill run` with one and
with two threads under the operating system's own accounting (CPU seconds, peak memory).
Why: a rate means something only as a ratio to what a user would run instead, in the same run.

    python compare.py --specmill target/release/specmill --rates target/release/read_combine \
        --work .cache/bench [--record benches/runs/DATE-MACHINE]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TARGETS_PER_UNIT = 514
PIXEL_BYTES = 7958 * 12  # FLUX, IVAR and MASK of the three arms


def output(command: list[str]) -> str:
    """The standard output of a command that must succeed."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def run_pipeline(specmill: Path, sim: Path, folder: Path, threads: int) -> dict:
    """One run in an empty folder: its record and what the system charged for it."""
    shutil.rmtree(folder, ignore_errors=True)
    run_file = folder.with_suffix(".toml")
    # Without digests: taking them is the inventory's work, and reads what `extract` never touches.
    settings = ['[input]', f'root = "{sim}"', 'digest = "none"', '[output]', f'folder = "{folder}"', '[resources]', 'device = "cpu"']
    run_file.write_text("\n".join(settings) + "\n")
    command = [str(specmill), "run", str(run_file), "--threads", str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"specmill run ended with status {status}")
    record = json.loads(next((folder / "runs").iterdir()).read_text())
    extract = next(stage for stage in record["stages"] if stage["stage"] == "extract")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "threads": threads,
        "targets": extract["rows_in"],
        "targets_measured": extract["rows_done"],
        "wall_seconds": extract["seconds"],
        "cpu_seconds": cpu,
        "peak_memory_mb": usage.ru_maxrss / 1024,
        "busy_seconds": {step: extract[f"{step}_seconds"] for step in ("read", "compute", "write")},
        "bytes_out": extract["bytes_out"],
        "device": record["device_name"],
    }


def table(ours: dict, peers: dict, runs: list[dict]) -> str:
    """The table people read."""
    peer_read = peers["read_fitsio"]["spectra_per_s"]
    combine = {name: value["spectra_per_s"] for name, value in peers.items() if name.startswith("combine_numpy_")}
    best = max(combine, key=combine.get)
    lines = [
        "| step | peer | peer, k targets/s | ours, k targets/s | ratio |",
        "|---|---|---:|---:|---:|",
        f"| read FLUX, IVAR, MASK | fitsio | {peer_read / 1e3:.1f} | {ours['read_per_s'] / 1e3:.1f} "
        f"| {ours['read_per_s'] / peer_read:.2f} |",
        f"| combine arms | NumPy ({best}) | {combine[best] / 1e3:.1f} | {ours['combine_per_s'] / 1e3:.1f} "
        f"| {ours['combine_per_s'] / combine[best]:.2f} |",
        "",
        "| run of extract | targets/s, wall | targets/s per core | MB/s of pixels | peak memory | busy seconds "
        "(read, compute, write) |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for run in runs:
        rate = run["targets"] / run["wall_seconds"]
        busy = ", ".join(f"{run['busy_seconds'][step]:.1f}" for step in ("read", "compute", "write"))
        lines.append(
            f"| {run['threads']} compute thread(s) | {rate:.0f} | {run['targets'] / run['cpu_seconds']:.0f} "
            f"| {rate * PIXEL_BYTES / 1e6:.0f} | {run['peak_memory_mb']:.0f} MiB | {busy} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the arguments, measures, prints, records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specmill", type=Path, required=True, help="the release binary")
    parser.add_argument("--rates", type=Path, required=True, help="the release binary of read_combine")
    parser.add_argument("--work", type=Path, required=True, help="folder for the simulated files and the runs")
    parser.add_argument("--units", type=int, default=20, help="simulated files")
    parser.add_argument("--repeat", type=int, default=3, help="timed passes of each step")
    parser.add_argument("--record", type=Path, help="folder for the table and the numbers")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    sim = work / f"sim-{args.units}"
    if not sim.is_dir():
        output([
            str(args.specmill.resolve()), "simulate", "--out", str(sim),
            "--targets", str(args.units * TARGETS_PER_UNIT), "--targets-per-unit", str(TARGETS_PER_UNIT),
        ])  # fmt: skip
    ours = json.loads(output([str(args.rates.resolve()), str(sim), str(args.repeat)]))
    peer_script = Path(__file__).with_name("read_combine.py")
    peer = json.loads(output([sys.executable, str(peer_script), str(sim), "--repeat", str(args.repeat)]))
    runs = [run_pipeline(args.specmill.resolve(), sim, work / f"run-{n}", n) for n in (1, 2)]
    text = table(ours, peer["peers"], runs)
    print(text)
    if args.record:
        args.record.mkdir(parents=True, exist_ok=True)
        numbers = {"ours": ours, "runs": runs, **peer}
        (args.record / "compare.json").write_text(json.dumps(numbers, indent=2) + "\n")
        (args.record / "compare.md").write_text(text)


if __name__ == "__main__":
    main()
