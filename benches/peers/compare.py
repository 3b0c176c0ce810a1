"""Our rates beside the peers', on the same files, vectors and server, in one run; one table and a record.

What: for every step of the program its rate, the rate of what a user would run instead, their ratio, the machine's
limit for it and the share of that limit, with the bar that is to be met. One thread each, at the same priority, one after
the other, each at the best of as many passes.
Why: a rate means something only beside what else could be run, and beside what the machine can do, in the same run.

    make bench-peers
    python compare.py --specmill target/release/specmill --work .cache/bench [--runs benches/runs] [--only STEP ...]

The programs of this folder's crate are taken from beside `specmill`; the database's rows need PostgreSQL
(SPECMILL_POSTGRES). Written: `peers.json` and `peers.md` in <runs>/<date>-<instruction set>-<N>core.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bytes_read import bytes_needed
from machine import charged, describe, environment, last_stage, record_folder, said, stamp, write_run_file

HERE = Path(__file__).parent
TARGETS_PER_UNIT = 514
ARM_PIXELS, PIXELS, BINS = 7958, 7781, 6110
READ_BYTES = 12 * ARM_PIXELS
PROJECTED_PIXELS = 5000
COMPONENTS = 10
NEIGHBORS = (100_000, 64)


def row(step: str, unit: str, peer: str | None, peer_rate: float | None, ours: float | None, **more) -> dict:
    """A row of the table. `bar` is on the ratio unless `bar_on` says rate or fraction; `limit_rate` in the row's unit."""
    limit_rate = more.get("limit_rate")
    return {
        "step": step,
        "unit": unit,
        "peer": peer,
        "peer_rate": peer_rate,
        "ours": ours,
        "ratio": ours / peer_rate if ours and peer_rate else None,
        "bar": more.get("bar"),
        "bar_on": more.get("bar_on", "ratio"),
        "limit": more.get("limit"),
        "limit_rate": limit_rate,
        "fraction": ours / limit_rate if ours and limit_rate else None,
        "note": more.get("note", ""),
    }


class Bench:
    """Where things are, and what the machine can do."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.specmill = args.specmill.resolve()
        self.work = args.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.repeat, self.units, self.rows = args.repeat, args.units, args.rows
        self.catalog = f"zcatalog, {self.rows / 1e6:g} M x 60"
        turns = [said([self.program("machine_limits"), self.work]) for _ in range(3)]
        self.limits = {name: max(turn[name] for turn in turns) for name in turns[0]}
        self.machine = describe(self.limits["simd"])

    def program(self, name: str) -> Path:
        return self.specmill.with_name(name)

    def script(self, name: str, *arguments: object) -> dict:
        return said([sys.executable, HERE / name, *arguments])

    def copied(self, n_bytes: float) -> dict:
        """The limit of a step that reads (and writes) so many bytes of a batch, which lies in the last cache."""
        gb_per_s = self.limits["warm_copy_gb_per_s"]
        return {"limit": f"copy in cache, {gb_per_s:.1f} GB/s", "limit_rate": gb_per_s * 1e9 / n_bytes}

    def computed(self, flops: float) -> dict:
        """The limit of a step of so many operations."""
        rate = self.limits["fma_gflop_per_s"] * 1e9 / flops
        return {"limit": f"f32 arithmetic, {self.limits['fma_gflop_per_s']:.0f} GFLOP/s", "limit_rate": rate}

    def sim(self) -> Path:
        """The simulated files, made once, in the page cache."""
        sim = self.work / f"sim-{self.units}"
        if not sim.is_dir():
            aside = sim.with_suffix(".partial")
            shutil.rmtree(aside, ignore_errors=True)
            charged([
                self.specmill, "simulate", "--out", aside,
                "--targets", self.units * TARGETS_PER_UNIT, "--targets-per-unit", TARGETS_PER_UNIT,
            ])  # fmt: skip
            aside.rename(sim)
        return sim


def spectra(bench: Bench) -> list[dict]:
    """Reading, combining, rebinning and measuring coadds."""
    sim = bench.sim()
    peers = {
        name: value["spectra_per_s"]
        for name, value in bench.script("spectra.py", sim, "--repeat", bench.repeat)["peers"].items()
    }
    ours = said([bench.program("spectra_rates"), sim, bench.repeat])
    combine = max((name for name in peers if name.startswith("combine_numpy")), key=peers.get)
    fitsio = max((name for name in peers if name.startswith("read_fitsio_") and "combine" not in name), key=peers.get)
    swapped = bench.limits["swapped_copy_gb_per_s"]
    read = {"limit": f"byte-swapped copy, {swapped:.1f} GB/s", "limit_rate": swapped * 1e9 / READ_BYTES}
    moved = bench.copied(12 * (ARM_PIXELS + PIXELS))
    rebinned = bench.copied(8 * (PIXELS + BINS))
    windows = bench.copied(8 * PIXELS)
    unit = "targets/s"

    def one(step: str, peer: str, key: str | None, own: str | None, **more) -> dict:
        return row(step, unit, peer, peers.get(key), ours.get(own), **more)

    rest = "rest frame, flux and ivar"
    return [
        one("read FLUX, IVAR, MASK", f"fitsio ({fitsio.removeprefix('read_fitsio_')})", fitsio, "read_per_s", bar=2.0, **read,
            note=f"{READ_BYTES} bytes a target, warm page cache"),
        one("read FLUX, IVAR, MASK", "desispec read_spectra", "read_desispec", "read_per_s", **read,
            note="desispec reads its tables too; RESOLUTION skipped"),
        one("combine arms", f"NumPy ({combine.removeprefix('combine_numpy_')})", combine, "combine_per_s", bar=3.0,
            **moved, note=f"{12 * (ARM_PIXELS + PIXELS)} bytes a target; rule masked"),
        one("combine arms", "desispec coadd_cameras", "desispec_coadd_cameras", "combine_per_s", **moved),
        one(rest, "redrock trapz_rebin, three times", "redrock_trapz_rebin_x3", "rest_frame_per_s", bar=5.0,
            **rebinned, note=f"{8 * (PIXELS + BINS)} bytes a target; the limit knows no arithmetic"),
        one(rest, "desispec resample_flux", "desispec_resample_flux", "rest_frame_per_s", **rebinned),
        one("breaks, indices and lines together", "FastSpecFit Dn4000 alone", "fastspecfit_dn4000", "windows_per_s",
            bar=3.0, **windows, note=f"{ours['bands']} bands; {8 * PIXELS} bytes a target"),
        one("Gaussian line groups", "desispec emlinefit", "desispec_emlines", None, bar=30.0,
            note="no such operation of ours: lines are measured in windows"),
    ]  # fmt: skip


def projection(bench: Bench) -> list[dict]:
    """Weighted projections on 10 and 64 components, with χ² and without."""
    n, rows = 1920, []
    lines = [
        subprocess.run(list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE, env=environment()).stdout
        for command in (
            [bench.program("embed_rates"), "project", n],
            [sys.executable, HERE / "empca.py", "rates", "--spectra", n],
        )
    ]
    own, theirs = ([json.loads(line) for line in text.splitlines()] for text in lines)
    for mine, peer in zip(own, theirs, strict=True):
        k, ours = mine["components"], mine["project_per_s"]
        limit = bench.computed(PROJECTED_PIXELS * (k * (k + 1) + 4 * k))
        step = f"weighted projection, K = {k}, {PROJECTED_PIXELS} pixels"
        note = f"{k * (k + 1) + 4 * k} operations a pixel"
        numpy = "NumPy pair products"
        rows += [
            row(step, "spectra/s", f"{numpy}, with χ²", peer["with_chi2_per_s"], ours, bar=1.2, **limit, note=note),
            row(step, "spectra/s", f"{numpy}, without χ²", peer["coefficients_per_s"], ours, bar=1.2, **limit,
                note=f"{note}; ours gives χ² and variances all the same"),
        ]  # fmt: skip
    return rows


def empca(bench: Bench) -> list[dict]:
    """An iteration of EMPCA: the E and the M step."""
    n, folder = 1000, bench.work / "empca"
    theirs = bench.script("empca.py", "iterations", folder, "--spectra", n, "--components", COMPONENTS)
    few, many = 2, 12
    seconds = {few: [], many: []}
    for _ in range(bench.repeat):
        for count in (few, many):
            fit = said([bench.program("embed_rates"), "fit", folder, theirs["n_pixels"], COMPONENTS, 0, count])
            if len(fit["chi2"]) - 1 != count:
                raise SystemExit(f"the fit took {len(fit['chi2']) - 1} iterations instead of {count}")
            seconds[count].append(fit["seconds"])
    # What a fit costs beside its iterations falls out of the difference.
    ours = n * (many - few) / (min(seconds[many]) - min(seconds[few]))
    k = COMPONENTS
    pairs = max(theirs["pair_products_f32_per_s"], theirs["pair_products_f64_per_s"])
    limit = bench.computed(theirs["n_pixels"] * (2 * k * (k + 1) + 6 * k))
    return [
        row("EMPCA fit", "spectra x iterations/s", "empca.py's algorithm in NumPy", theirs["published_per_s"], ours,
            bar=20.0, **limit,
            note=f"{n} spectra x {theirs['n_pixels']} pixels, K = {k}; a solve per spectrum and a component at a time, as "
            "users run it; its loop over pixels is one NumPy expression here"),
        row("EMPCA fit", "spectra x iterations/s", "NumPy pair products, f32", pairs, ours, **limit,
            note="both steps as matrix products: what nobody has published, the best that NumPy can do"),
    ]  # fmt: skip


def neighbors(bench: Bench) -> list[dict]:
    """Exact neighbours."""
    n, d = NEIGHBORS
    text = subprocess.run(
        [sys.executable, HERE / "neighbors.py", bench.program("embed_rates"), "--rows", str(n), "--queries", "5000"],
        check=True, text=True, stdout=subprocess.PIPE, env=environment(),
    ).stdout  # fmt: skip
    line = json.loads(text.splitlines()[-1])
    if line["rows_shared_with_faiss"] < 0.999:
        raise SystemExit(f"faiss finds other neighbours: {line}")
    return [
        row("exact neighbours, N = 100,000, d = 64, k = 16", "queries/s", "faiss IndexFlatL2", line["faiss_l2_per_s"],
            line["ours_per_s"], bar=1.0, **bench.computed(2 * n * d),
            note="a fused multiply-add a pair and dimension, the subtraction beside it in another pipe"),
    ]  # fmt: skip


def tables(bench: Bench) -> list[dict]:
    """A redshift catalogue to Parquet."""
    rows, numbers = bench.rows, bench.work / "tables.json"
    command = [
        sys.executable, HERE / "tables.py", "--specmill", bench.specmill, "--work", bench.work / "tables", "--zcatalog",
        rows, "--zall", 0, "--fastspec", 0, "--repeat", 2, "--peers", "astropy_table", "fitsio_whole", "fitsio_blocks",
        "--json", numbers,
    ]  # fmt: skip
    numbers.unlink(missing_ok=True)
    # It ends with 1 where its own bar is missed: that is for the table to say.
    ended = subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, env=environment()).returncode
    if ended not in (0, 1):
        raise SystemExit(f"tables.py ended with {ended}")
    (table,) = json.loads(numbers.read_text())
    if table["differing"]:
        raise SystemExit(f"columns differ from {table['fastest']}'s: {table['differing']}")
    ours, peer = table["programs"]["specmill"], table["programs"][table["fastest"]]
    programs = {name: program["cpu_seconds"] for name, program in table["programs"].items() if name != "specmill"}
    least = min(programs, key=programs.get)
    written = bench.limits["write_mb_per_s"] * 1e6 / (ours["bytes_out"] / rows)
    step = f"{bench.catalog}, to Parquet zstd"
    return [
        row(f"{step}, {bench.machine['cores']} cores", "rows/s", f"pyarrow ({table['fastest']})", rows / peer["seconds"],
            rows / ours["seconds"], bar=5.0, limit=f"disk, {bench.limits['write_mb_per_s']:.0f} MB/s synced",
            limit_rate=written,
            note=f"ours uses all cores, its peer one; {ours['bytes_out'] / rows:.0f} bytes a row, peak {ours['peak_mib']:.0f} MiB"),
        row(f"{step}, per core", "rows per processor second", f"pyarrow ({least})", rows / programs[least],
            rows / ours["cpu_seconds"]),
    ]  # fmt: skip


def catalog(bench: Bench) -> list[dict]:
    """A redshift catalogue into PostgreSQL."""
    folder = bench.work / "catalog"
    shutil.rmtree(folder, ignore_errors=True)
    found = said([bench.program("catalog_rates"), folder, bench.rows, 60])
    shutil.rmtree(folder)
    limit = {"limit": "the server's COPY FROM a file", "limit_rate": found["copy_from_file_per_s"]}
    step, copied = f"{bench.catalog}, to PostgreSQL", "pgpq frames"
    theirs = found["copy_in_pgpq_per_s"]
    return [
        row(f"{step}, one connection", "rows/s", copied, theirs, found["load_one_connection_per_s"], bar=0.85,
            bar_on="fraction", **limit,
            note=f"all of `db load`, from Parquet; pgpq's from memory, where ours make {found['copy_in_per_s']:.0f} rows/s"),
        row(f"{step}, as run", "rows/s", copied, theirs, found["load_per_s"], **limit,
            note=f"as many connections as cores, the limit still one; peak {found['load_peak_mb']:.0f} MB"),
    ]  # fmt: skip


def vectors(bench: Bench) -> list[dict]:
    """64-d vectors into PostgreSQL."""
    folder = bench.work / "load"
    shutil.rmtree(folder, ignore_errors=True)
    ours = said([bench.program("load_rates"), folder, bench.rows // 4, 64])
    theirs = bench.script("vectors.py", folder, "--specmill", bench.specmill)
    shutil.rmtree(folder)
    copy = max(ours["copy_from_file_per_s"], theirs["copy_from_file_per_s"])
    limit = {"limit": "the server's COPY FROM a file", "limit_rate": copy}
    step = "64-d vectors with their variances, to PostgreSQL"
    return [
        row(step, "rows/s", "psycopg binary COPY, row by row", theirs["psycopg_row_wise_per_s"], ours["load_per_s"], bar=0.85,
            bar_on="fraction", **limit, note=f"from Parquet to the commit, the program's start not counted; peers from memory, this one once; peak "
            f"{ours['load_peak_mb']:.0f} MB"),
        row(step, "rows/s", "psycopg, stream built by NumPy", theirs["psycopg_numpy_stream_per_s"], ours["load_per_s"],
            **limit),
    ]  # fmt: skip


def extract(bench: Bench) -> tuple[dict, dict]:
    """Coadds to features and spectra in Parquet: the row, and every run."""
    sim, folder = bench.sim(), bench.work / "run"
    run_file = folder.with_suffix(".toml")
    write_run_file(run_file, sim, folder)
    runs = []
    for threads in (1, 1, bench.machine["cores"]):
        shutil.rmtree(folder, ignore_errors=True)
        charged([bench.specmill, "run", run_file, "--stage", "inventory"])
        cost = charged([bench.specmill, "run", run_file, "--stage", "extract", "--threads", threads])
        stage = last_stage(folder, "extract")
        runs.append({
            "threads": threads,
            "targets": stage["rows_in"],
            "targets_measured": stage["rows_done"],
            **cost,
            "busy_seconds": {step: stage[f"{step}_seconds"] for step in ("read", "compute", "write")},
            "bytes_out": stage["bytes_out"],
            "targets_per_s": stage["rows_in"] / cost["wall_seconds"],
            "targets_per_core_s": stage["rows_in"] / cost["cpu_seconds"],
        })  # fmt: skip
    needed = bytes_needed(sim)
    best = max(runs, key=lambda run: run["targets_per_core_s"])
    targets = best["targets"]
    limits = {
        "byte-swapped copy of what is read": bench.limits["swapped_copy_gb_per_s"] * 1e9 / READ_BYTES,
        "disk, for what is written": bench.limits["write_mb_per_s"] * 1e6 / (best["bytes_out"] / targets),
    }
    limit = min(limits, key=limits.get)
    read = best["bytes_read"] / needed if best["bytes_read"] else None
    found = {"runs": runs, "bytes_needed": needed, "read_of_needed": read, "limits": limits}
    peak = max(run["peak_memory_mib"] for run in runs)
    note = (
        f"targets / processor seconds, best of {len(runs)} runs; peak {peak:.0f} MiB; {best['bytes_out'] / targets:.0f} bytes out a "
        f"target; read {'an unknown share' if read is None else f'{read:.4f}'} of the bytes of FLUX, IVAR, MASK, tables and headers"
    )
    shutil.rmtree(folder)
    return row("extract, coadd to features and spectra", "targets/s per core", None, None, best["targets_per_core_s"],
               bar=5000.0, bar_on="rate", limit=limit, limit_rate=limits[limit], note=note), found  # fmt: skip


def thousands(rate: float | None) -> str:
    """A rate as people read it."""
    if rate is None:
        return "–"
    if rate >= 1e6:
        return f"{rate / 1e6:.2f} M"
    return f"{rate / 1e3:.1f} k" if rate >= 1e3 else f"{rate:.0f}"


def bar_of(line: dict) -> str:
    """The bar, and whether it is met."""
    if line["bar"] is None:
        return "–"
    value = {"ratio": line["ratio"], "rate": line["ours"], "fraction": line["fraction"]}[line["bar_on"]]
    text = {"ratio": f"≥ {line['bar']:g} x", "rate": f"≥ {thousands(line['bar'])}", "fraction": f"≥ {line['bar']:g} of the limit"}
    verdict = "" if value is None else (" met" if value >= line["bar"] else " missed")
    return text[line["bar_on"]] + verdict


def render(record: dict) -> str:
    """The table people read."""
    machine = record["machine"]
    limits = record["limits"]
    lines = [
        f"# {record['date']}: {machine['cpu']}, {machine['simd']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        "",
        f"Linux {machine['kernel']}, commit {record['commit']}; load average {record['load'][0]:.1f} before, "
        f"{record['load'][1]:.1f} after; `make bench-peers`, one thread each unless a row says otherwise. One core copies "
        f"{limits['copy_gb_per_s']:.1f} GB/s in memory and {limits['warm_copy_gb_per_s']:.1f} GB/s in its last cache (read and "
        f"written), byte-swaps {limits['swapped_copy_gb_per_s']:.1f} GB/s, "
        f"and makes {limits['fma_gflop_per_s']:.0f} GFLOP/s of f32 in registers; the disk takes "
        f"{limits['write_mb_per_s']:.0f} MB/s.",
        "",
        "| step | peer | peer, per s | ours, per s | ratio | bar | limit | of limit | unit; note |",
        "|---|---|---:|---:|---:|---|---|---:|---|",
    ]
    for line in record["rows"]:
        ratio = "–" if line["ratio"] is None else f"{line['ratio']:.2f}"
        fraction = "–" if line["fraction"] is None else f"{line['fraction']:.2f}"
        limit = "–" if line["limit"] is None else f"{line['limit']}: {thousands(line['limit_rate'])}"
        note = "; ".join(filter(None, (line["unit"], line["note"])))
        lines.append(
            f"| {line['step']} | {line['peer'] or '–'} | {thousands(line['peer_rate'])} | {thousands(line['ours'])} "
            f"| {ratio} | {bar_of(line)} | {limit} | {fraction} | {note} |"
        )
    if record["extract"]:
        lines += [
            "",
            "| extract, threads | targets/s | per core | peak MiB | busy s: read, compute, write |",
            "|---:|---:|---:|---:|---|",
        ]
        for run in record["extract"]["runs"]:
            busy = ", ".join(f"{seconds:.2f}" for seconds in run["busy_seconds"].values())
            lines.append(
                f"| {run['threads']} | {run['targets_per_s']:.0f} | {run['targets_per_core_s']:.0f} "
                f"| {run['peak_memory_mib']:.0f} | {busy} |"
            )
    return "\n".join(lines) + "\n"


STEPS = {
    "spectra": spectra,
    "projection": projection,
    "empca": empca,
    "neighbors": neighbors,
    "tables": tables,
    "catalog": catalog,
    "vectors": vectors,
}
NEED_SERVER = ("catalog", "vectors")


def main() -> None:
    """Reads the arguments, measures, prints, records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specmill", type=Path, required=True, help="the release binary, with its neighbours")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is simulated and run")
    parser.add_argument("--runs", type=Path, help="folder for the record: benches/runs")
    parser.add_argument("--units", type=int, default=20, help="simulated files")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the catalogue; of the vectors a quarter")
    parser.add_argument("--repeat", type=int, default=3, help="timed passes of each step")
    parser.add_argument("--only", nargs="+", choices=[*STEPS, "extract"], default=[*STEPS, "extract"])
    args = parser.parse_args()
    before = os.getloadavg()[0]
    bench = Bench(args)
    rows, found, failed = [], {}, []
    left_out = [{"step": name, "reason": "not asked for"} for name in [*STEPS, "extract"] if name not in args.only]
    for name in args.only:
        if name in NEED_SERVER and not os.environ.get("SPECMILL_POSTGRES"):
            print(f"SKIPPED {name}: SPECMILL_POSTGRES names no PostgreSQL", file=sys.stderr)
            left_out.append({"step": name, "reason": "no PostgreSQL"})
            continue
        try:
            if name == "extract":
                line, found = extract(bench)
                rows.append(line)
            else:
                rows += STEPS[name](bench)
        # One step that fails costs no other its rows, and the exit code says so.
        except (Exception, SystemExit) as error:
            print(f"FAILED {name}: {error!r}", file=sys.stderr)
            failed.append(name)
            left_out.append({"step": name, "reason": "failed"})
    record = {
        **stamp(bench.machine),
        "threads": 1,
        "load": [before, os.getloadavg()[0]],
        "limits": bench.limits,
        "rows": rows,
        "left_out": left_out,
        "extract": found,
        "scaling": [],
    }
    text = render(record)
    print(text)
    if args.runs and left_out:
        print("no record: it would not be whole", file=sys.stderr)
    elif args.runs:
        folder = record_folder(args.runs, bench.machine)
        scaling = folder / "scaling.json"
        if scaling.exists():
            record["scaling"] = json.loads(scaling.read_text())["stages"]
        (folder / "peers.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        (folder / "peers.md").write_text(text)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
