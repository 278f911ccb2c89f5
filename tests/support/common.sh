# shellcheck shell=bash
# Sourced by the scripts that fetch what tests need: the folder the downloads share, and the exit code of a skipped test.

# shellcheck source=tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/setup.sh"

cache=${RANKWRIGHT_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/rankwright-tests}

# skip REASON...: says what cannot be had and ends with the code that ctest shows as skipped.
skip() {
    printf 'skipped: %s\n' "$*" >&2
    exit 77
}

# lock_cache: one process at a time downloads; held until this script ends.
lock_cache() {
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
}
