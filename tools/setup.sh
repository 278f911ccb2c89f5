# shellcheck shell=bash
# Sourced by the scripts of the project: installs packages of tools/packages.txt, configures and builds a preset.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '== %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Debian's own interpreter, the one that sees python3-torch, before any other on PATH.
if [ -x /usr/bin/python3 ]; then python=/usr/bin/python3; else python=python3; fi
export python

# listed_packages SECTION...: the packages of these sections.
listed_packages() {
    awk -v wanted=" $* " '
        /^[[:space:]]*(#|$)/ { next }
        /^\[/ { section = substr($1, 2, length($1) - 2); next }
        index(wanted, " " section " ") { print $1 }' "$root/tools/packages.txt"
}

# install_packages SECTION...: installs what these sections name and the machine lacks; no apt call when nothing is missing.
install_packages() {
    local package missing=() as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "no apt here: make sure that the equivalents of these packages are installed:" "$(listed_packages "$@" | xargs)"
        return
    fi
    while read -r package; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done < <(listed_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "packages are missing and neither root nor sudo is at hand; as root, run: apt-get install --no-install-recommends ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update ||
        fail "apt-get update failed; check the network and the sources of apt"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "${missing[@]}" >&2 || fail "could not install ${missing[*]}"
}

# build_preset PRESET [TARGET...]: configures the preset when it is new or the presets changed, and builds; silent when up to date.
build_preset() {
    local preset=$1 launcher=()
    shift
    cd "$root" || exit 1
    if ! [ "build/$preset/build.ninja" -nt CMakePresets.json ]; then
        say "configuring build/$preset"
        ! command -v ccache >/dev/null || launcher=("-DCMAKE_CXX_COMPILER_LAUNCHER=env;CCACHE_SLOPPINESS=pch_defines,time_macros;ccache")
        cmake --preset "$preset" "${launcher[@]}" >&2 || fail "could not configure the preset $preset"
    fi
    if ! ninja -C "build/$preset" -n "$@" 2>/dev/null | grep -q 'no work to do'; then
        say "building build/$preset"
        cmake --build --preset "$preset" ${1:+--target "$@"} >&2 || fail "could not build the preset $preset"
    fi
}
