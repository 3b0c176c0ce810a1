#!/usr/bin/env bash
# Runs on a machine with an NVIDIA driver and nothing else, from the folder that `make gpu-check` fills: that the
# card gives the CPU's bits, in every operation and in a whole run, and how fast. Without a card the CPU's half
# runs, and every line that needs one says so. The machine's C library must be as new as the one that built this.
#
# usage: check.sh [FOLDER FOR THE REPORT [TARGETS OF THE RUN [SPECTRA OF A BATCH]]]
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/report} targets=${2:-4000} spectra=${3:-512}
mkdir -p "$out"
report=$out/report.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

say() { printf '%s\n' "$@" | tee -a "$report"; }
# Runs a command, keeps its output as a log, and puts the last lines of it into the report.
step() {
    local name=$1 lines=$2
    shift 2
    local started=$SECONDS
    if "$@" >"$out/$name.log" 2>&1; then
        say "" "## $name: passed, $((SECONDS - started)) s" "" '```'
    else
        say "" "## $name: FAILED with $?, $((SECONDS - started)) s" "" '```'
        failed=1
    fi
    tail -n "$lines" "$out/$name.log" | tee -a "$report"
    say '```'
}

: >"$report"
say "# GPU check" "" "$("$here/specmill" --version), $(uname -srm), $(nproc) cores"
say "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs)"
listed=
if nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader >"$work/card" 2>/dev/null; then
    listed=1
    say "$(cat "$work/card")"
fi
# Whatever else is wrong with a card, it is one: only code 4 says that there is none to be had.
device=cuda:0
"$here/specmill" doctor --device cuda:0 >"$work/doctor" 2>&1
if [ $? = 4 ]; then
    device=
    say "" "No card: $(grep -m1 '^error' "$work/doctor"). The CPU's half follows."
    [ -z "$listed" ] || { say "FAILED: nvidia-smi lists a card that cannot be had."; failed=1; }
fi

step doctor 60 "$here/specmill" doctor --device "${device:-cpu}"
if [ -n "$device" ]; then
    SPECMILL_REQUIRE_CUDA=1 step conformance 3 "$here/conformance" cuda::
else
    step conformance 3 "$here/conformance" cpu::
fi

# A whole run, twice: the files that it leaves must be the same.
"$here/specmill" simulate --out "$work/sim" --targets "$targets" --targets-per-unit "$((targets < 500 ? 12 : 500))" --resolution none >"$out/simulate.log" 2>&1
cat >"$work/run.toml" <<END
[input]
root = "$work/sim"
END
digests() { (cd "$1" && find . -name '*.parquet' -o -name card.toml | sort | xargs -r sha256sum); }
run_on() { "$here/specmill" run "$work/run.toml" --device "$1" --out "$work/$2"; }
step run-cpu 24 run_on cpu cpu
digests "$work/cpu" >"$out/sha256-cpu.txt"
[ -s "$out/sha256-cpu.txt" ] || { say "FAILED: the run left no files."; failed=1; }
if [ -n "$device" ]; then
    step run-cuda 24 run_on "$device" cuda
    digests "$work/cuda" >"$out/sha256-cuda.txt"
    compare() { diff "$out/sha256-cpu.txt" "$out/sha256-cuda.txt" && wc -l <"$out/sha256-cpu.txt" && echo "files, each with one digest on both devices"; }
    step same-bytes 20 compare
else
    say "" "$(wc -l <"$out/sha256-cpu.txt") files on the CPU; nothing to compare them with."
fi

step rates-cpu 40 "$here/device_rates" cpu "$spectra"
if [ -n "$device" ]; then
    step rates-cuda 40 "$here/device_rates" "$device" "$spectra"
    if python3 -c 'import torch' 2>/dev/null; then
        step peers 20 python3 "$here/peers.py"
    else
        say "" "SKIPPED peers: no PyTorch here"
    fi
    if command -v compute-sanitizer >/dev/null 2>&1; then
        for tool in memcheck racecheck initcheck synccheck; do
            step "sanitizer-$tool" 4 timeout 100 compute-sanitizer --tool "$tool" --error-exitcode 9 \
                "$here/specmill" doctor --device "$device"
        done
    else
        say "" "SKIPPED sanitizer: no compute-sanitizer here"
    fi
fi
say "" "$([ $failed = 0 ] && echo "All passed." || echo "Something FAILED: see above.")"
exit $failed
