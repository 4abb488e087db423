#!/usr/bin/env bash
# Installs what a build and the tests need from the system: a C linker,
# pkg-config, the headers of ALSA and JACK, and for the tests jackd (a paced audio
# device) and Python (the example client). Never asks, changes nothing when everything is there, and needs
# no network then.
set -euo pipefail

say() { printf 'setup: %s\n' "$*"; }

have() { command -v "$1" >/dev/null 2>&1; }

header() { have pkg-config && pkg-config --exists "$1"; }

# What is missing, as Debian package names.
missing() {
    have cc || echo gcc libc6-dev
    have pkg-config || echo pkg-config
    header alsa || echo libasound2-dev
    # Both packages give the same header and exclude each other.
    header jack || echo libjack-jackd2-dev
    have jackd || echo jackd2
    have python3 || echo python3
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo -n "$@" || {
            say "sudo needs a password here; run this once as root:"
            say "  $*"
            exit 1
        }
    else
        say "not root and no sudo; run this once as root:"
        say "  $*"
        exit 1
    fi
}

install_with_apt() {
    # jackd2 would ask about real-time priority; the answer is its default, no.
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
    say "installing $*"
    as_root "${apt[@]}" update -qq || say "apt-get update failed; trying with the lists that are here"
    as_root "${apt[@]}" install -y -qq --no-install-recommends "$@"
}

tell_what_others_need() {
    say "this system has no apt; install these with its own package manager:"
    say "  Fedora: sudo dnf install gcc pkgconf-pkg-config alsa-lib-devel jack-audio-connection-kit-devel jack-audio-connection-kit python3"
    say "  Arch:   sudo pacman -S --needed gcc pkgconf alsa-lib jack2 python"
    say "  macOS:  brew install pkg-config jack python"
}

check_rust() {
    have cargo && return
    [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] && {
        say "cargo is installed but not on PATH; run: . \"${CARGO_HOME:-$HOME/.cargo}/env\""
        exit 1
    }
    say "Rust is missing; install it from https://rustup.rs (it reads rust-toolchain.toml by itself)"
    exit 1
}

# The compiler that rust-toolchain.toml names. rustup fetches it by itself; where
# it may not or cannot, an installed `stable` of that very version will do.
check_toolchain() {
    cargo --version >/dev/null 2>&1 && return
    local pinned="" line stable folder
    while read -r line; do
        case "$line" in channel*) pinned=${line#*\"} pinned=${pinned%\"*} ;; esac
    done <rust-toolchain.toml
    have rustup || { say "cargo does not run here; this project needs Rust $pinned"; exit 1; }
    say "installing Rust $pinned"
    rustup toolchain install "$pinned" --profile minimal --component rustfmt --component clippy && return
    stable=$(rustup run stable rustc --print sysroot) || stable=""
    case "$stable $(rustup run stable rustc --version)" in
        */toolchains/stable-*" rustc $pinned "*)
            folder=${stable%/*}/$pinned-${stable##*/stable-}
            ln -sfn "$stable" "$folder"
            say "Rust $pinned is the installed stable; linked"
            ;;
        *)
            say "Rust $pinned can't be had; install it with: rustup toolchain install $pinned"
            exit 1
            ;;
    esac
}

main() {
    case "$0" in */*) cd "${0%/*}" ;; esac
    local packages
    packages=$(missing | tr '\n' ' ')
    if [ -z "$packages" ]; then
        say "everything is here"
    elif have apt-get; then
        # shellcheck disable=SC2086 # one word per package is what is meant
        install_with_apt $packages
        packages=$(missing | tr '\n' ' ')
        [ -z "$packages" ] || { say "still missing: $packages"; exit 1; }
        say "done"
    elif [ "$(uname -s)" = Darwin ] && header jack && have jackd && have cc && have python3; then
        say "everything is here" # macOS has no ALSA and needs none.
    else
        tell_what_others_need
        exit 1
    fi
    check_rust
    check_toolchain
}

main "$@"
