#!/usr/bin/env bash
# Usage: transformers_venv.sh [--find]
# Prints the path of a Python interpreter with Debian's torch and the pinned transformers; makes the virtual environment when it
# is not in the cache yet, or with --find only looks for it.
# Exit code 77 when it cannot be had. RANKWRIGHT_PYTHON names an interpreter to use instead.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/common.sh"

requirements=$here/transformers_requirements.txt
# The name changes with the pins, so that a changed pin makes a new environment.
venv=$cache/transformers-$(sha256sum "$requirements" | cut -c 1-12)
target=$venv/bin/python

if [ -n "${RANKWRIGHT_PYTHON:-}" ]; then
    [ -x "$RANKWRIGHT_PYTHON" ] || fail "RANKWRIGHT_PYTHON names $RANKWRIGHT_PYTHON, which is no program"
    target=$RANKWRIGHT_PYTHON
elif ! [ -f "$venv/complete" ]; then
    [ "${1:-}" != --find ] || skip "transformers is not in $cache; tests/support/transformers_venv.sh fetches it"
    lock_cache
    if ! [ -f "$venv/complete" ]; then
        say "making a virtual environment with transformers"
        trap '[ -f "$venv/complete" ] || rm -rf "$venv"' EXIT
        rm -rf "$venv"
        "$python" -c 'import torch' 2>/dev/null || skip "no torch for $python: install python3-torch"
        "$python" -m venv --system-site-packages "$venv" >&2 || skip "no virtual environment: install python3-venv"
        "$target" -m pip install --quiet --no-deps --requirement "$requirements" >&2 ||
            skip "transformers cannot be had: pip could not install $requirements"
        "$target" -c 'import torch, transformers; transformers.LlamaForCausalLM' >&2 ||
            fail "transformers was installed into $venv but cannot be imported"
        touch "$venv/complete"
    fi
fi
printf '%s\n' "$target"
