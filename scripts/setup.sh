#!/usr/bin/env bash
# Makes sure that what the build needs from outside Rust is there: cmake (3.x) and a C compiler.
# Prints the folder to put in front of PATH, or nothing where the system's own tools serve.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

cmake_serves() {
    # cfitsio's build files are refused by cmake 4.
    command -v cmake >/dev/null 2>&1 && cmake --version | head -1 | grep -q ' 3\.'
}

if ! command -v cc >/dev/null 2>&1; then
    say "a C compiler (cc) is needed: install gcc"
    exit 1
fi
if cmake_serves; then
    exit 0
fi
tools=.cache/tools
if [ -x "$tools/bin/cmake" ]; then
    printf '%s\n' "$PWD/$tools/bin"
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing cmake with apt"
    if apt-get update -qq >&2 && apt-get install -y -qq cmake >&2 && cmake_serves; then
        exit 0
    fi
fi
say "installing cmake 3.31 from PyPI into $tools"
mkdir -p "$tools"
if python3 -m venv "$tools" >&2 2>/dev/null; then
    "$tools/bin/python" -m pip install --quiet 'cmake==3.31.*' >&2
else
    python3 -m pip install --quiet --target "$tools" 'cmake==3.31.*' >&2
fi
if [ ! -x "$tools/bin/cmake" ]; then
    say "cmake 3.x could not be installed: install it by hand and run the same command again"
    exit 1
fi
printf '%s\n' "$PWD/$tools/bin"
