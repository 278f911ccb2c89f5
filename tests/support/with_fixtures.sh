#!/usr/bin/env bash
# Usage: with_fixtures.sh FOLDER [smollm2] [transformers] -- COMMAND...
# Runs a test with its own empty XDG folders below FOLDER, so that it touches no store or cache of the user, and with
# RANKWRIGHT_SMOLLM2 (the GGUF file) and RANKWRIGHT_PYTHON (an interpreter with torch and transformers) where asked for.
# Exit code 77, which ctest shows as skipped, when what was asked for is not there.
set -euo pipefail

here=$(dirname "$0")
folder=$1
shift
while [ "$1" != -- ]; do
    case $1 in
    smollm2)
        RANKWRIGHT_SMOLLM2=$("$here/fetch_smollm2.sh" --find)
        export RANKWRIGHT_SMOLLM2
        ;;
    transformers)
        RANKWRIGHT_PYTHON=$("$here/transformers_venv.sh" --find)
        export RANKWRIGHT_PYTHON
        ;;
    *)
        printf 'error: unknown fixture %s\n' "$1" >&2
        exit 2
        ;;
    esac
    shift
done
shift
rm -rf "$folder"
mkdir -p "$folder/data" "$folder/cache"
export XDG_DATA_HOME=$folder/data XDG_CACHE_HOME=$folder/cache HF_HUB_OFFLINE=1
exec "$@"
