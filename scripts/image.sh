#!/usr/bin/env bash
# What goes into the image, into a folder: the stripped binary, its bill of materials (CycloneDX), the licence.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: scripts/image.sh FOLDER}
tools=$(scripts/setup.sh)
eval "$tools"
if [ -z "${SPECMILL_NVRTC+set}" ] && [ ! -e .cache/nvrtc ]; then
    echo "no NVRTC: the image would hold no kernels; set SPECMILL_NVRTC to a libnvrtc.so, or to nothing for CPU nodes alone" >&2
    exit 1
fi
mkdir -p "$out"
cargo build --release --locked -p specmill
install -m 755 "${CARGO_TARGET_DIR:-target}/release/specmill" "$out/specmill"
strip "$out/specmill"
scripts/sbom.sh "$out/specmill.cdx.json"
install -m 644 LICENSE "$out/LICENSE"
