#!/usr/bin/env bash
# The bill of materials of the program, CycloneDX as JSON: every crate that is compiled into it, with version,
# licence and checksum.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: scripts/sbom.sh FILE.json}
version=0.5.9
tool=$PWD/.cache/cyclonedx/bin/cargo-cyclonedx
if ! "$tool" cyclonedx --version 2>/dev/null | grep -q "$version"; then
    cargo install --quiet --locked "cargo-cyclonedx@$version" --root .cache/cyclonedx --target-dir .cache/cyclonedx/target
    rm -rf .cache/cyclonedx/target
fi
"$tool" cyclonedx --quiet --format json --manifest-path pipeline/Cargo.toml --no-build-deps --target all --override-filename specmill.cdx
find . -name specmill.cdx.json -not -path ./pipeline/specmill.cdx.json -not -path './.cache/*' -delete
mv pipeline/specmill.cdx.json "$out"
