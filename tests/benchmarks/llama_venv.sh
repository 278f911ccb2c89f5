#!/usr/bin/env bash
# Prints the path of a Python interpreter with llama.cpp (xllamacpp); makes the virtual environment when it is not in the cache yet.
# Exit code 77 when it cannot be had. RANKWRIGHT_LLAMA_PYTHON names an interpreter to use instead.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

requirements=$here/llama_requirements.txt
venv=$cache/llama-$(sha256sum "$requirements" | cut -c 1-12)
target=$venv/bin/python

if [ -n "${RANKWRIGHT_LLAMA_PYTHON:-}" ]; then
    target=$RANKWRIGHT_LLAMA_PYTHON
elif ! [ -f "$venv/complete" ]; then
    lock_cache
    if ! [ -f "$venv/complete" ]; then
        say "making a virtual environment with llama.cpp"
        trap '[ -f "$venv/complete" ] || rm -rf "$venv"' EXIT
        rm -rf "$venv"
        "$python" -m venv "$venv" >&2 || skip "no virtual environment: install python3-venv"
        "$target" -m pip install --quiet --only-binary :all: --requirement "$requirements" >&2 ||
            skip "llama.cpp cannot be had: pip could not install $requirements"
        touch "$venv/complete"
    fi
fi
printf '%s\n' "$target"
