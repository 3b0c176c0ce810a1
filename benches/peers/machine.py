"""What the measuring scripts share: this machine, and what the system charges a program for.

What: the machine's name and size; seconds, processor seconds, peak memory and bytes read of a child.
Why: numbers without the machine they come from are no record, and the system's own accounting needs no trust in
the program that is measured.
Sources: wait4(2), proc_pid_io(5), /proc/cpuinfo, /proc/meminfo.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

# As our program tells its C library: pages of freshly mapped memory would be what is timed.
KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment() -> dict[str, str]:
    """This environment without what slows NumPy, with one thread for every library and freed memory kept."""
    kept = {name: value for name, value in os.environ.items() if name not in SLOWING}
    return kept | dict.fromkeys(ONE_THREAD, "1") | KEEPING


def field(path: str, name: str) -> str | None:
    """The first value of a field in one of the system's `name : value` files."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    return values[0] if values else None


def describe(simd: str) -> dict:
    """The machine, with the instruction set that our program takes."""
    memory = field("/proc/meminfo", "MemTotal")
    return {
        "cpu": field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "simd": simd,
        "memory_gib": round(int(memory.split()[0]) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
    }


def stamp(machine: dict) -> dict:
    """What stands at the head of every record."""
    commit = os.environ.get("SPECMILL_GIT_HASH", "unknown")
    return {"machine": machine, "commit": commit, "date": date.today().isoformat()}


def record_folder(runs: Path, machine: dict) -> Path:
    """benches/runs/<date>-<instruction set>-<N>core."""
    folder = runs / f"{date.today().isoformat()}-{machine['simd'].partition('+')[0]}-{machine['cores']}core"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def said(command: list) -> dict:
    """The JSON that a program prints last."""
    text = subprocess.run(
        list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE, env=environment()
    ).stdout
    return json.loads(text)


def charged(command: list, accepted: tuple[int, ...] = (0, 3)) -> dict:
    """Runs a program: wall and processor seconds, peak memory, and the bytes that it asked to read."""
    # A child's peak memory begins with its parent's, which is therefore a process of little else.
    between = [sys.executable, "-S", __file__, *map(str, command)]
    done = subprocess.run(between, check=True, text=True, capture_output=True, env=environment())
    cost = json.loads(done.stdout)
    code = cost.pop("exit_code")
    if code not in accepted:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {code}: {done.stderr[-2000:]}")
    return cost


def account(command: list[str]) -> dict:
    """What the system charges a child for, once it has ended."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        # Opened while it runs: the account of a program that has ended is root's, but for those who hold it.
        io = open(f"/proc/{process.pid}/io", encoding="ascii")
    except OSError:
        io = None
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - began
    read = None
    if io:
        with io, contextlib.suppress(OSError):
            read = next((line.split()[1] for line in io if line.startswith("rchar:")), None)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit_code": process.returncode,
        "wall_seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mib": usage.ru_maxrss / 1024,
        "bytes_read": int(read) if read else None,
    }


def write_run_file(path: Path, sim: Path, folder: Path, more: str = "") -> None:
    """A run on the CPU without digests: taking them is the inventory's work, and reads what `extract` never touches."""
    path.write_text(
        f'[input]\nroot = "{sim}"\ndigest = "none"\n[output]\nfolder = "{folder}"\n'
        f'[resources]\ndevice = "cpu"\n{more}'
    )


def last_stage(folder: Path, stage: str) -> dict:
    """A stage's row of the newest record of a run folder."""
    newest = max((folder / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return next(row for row in json.loads(newest.read_text())["stages"] if row["stage"] == stage)


if __name__ == "__main__":
    print(json.dumps(account(sys.argv[1:])))
