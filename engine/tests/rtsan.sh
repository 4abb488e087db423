#!/usr/bin/env bash
# Runs the torture of the audio callback under the toolchain's real-time sanitizer, which ends it with a
# stack trace where the callback allocates, locks or blocks. rustc ships the library with some
# toolchains; where it, or a C compiler to make a shared library of it, is not there, this says so and
# stops without an error. The sanitizer is loaded before the programs of the ordinary tests, so that
# nothing is built for it. `--workspace` takes the programs that the tests of the workspace have.
set -euo pipefail
cd "$(dirname "$0")/../.."

scope=(--package pulse-engine)
[ "${1:-}" = --workspace ] && scope=(--workspace)

host=$(rustc --version --verbose | sed -n 's/^host: //p')
folder=$(rustc --print sysroot)/lib/rustlib/$host/lib
library=$(find "$folder" -name 'librustc-*_rt.rtsan.a' | head -n 1)
if [ -z "$library" ]; then
    echo "rtsan: skipped: $(rustc --version) has no librustc-*_rt.rtsan.a in $folder;"
    echo "rtsan: a toolchain of rustup for x86_64-unknown-linux-gnu, 1.95 or later, has it"
    exit 0
fi
if ! command -v cc >/dev/null || ! command -v ar >/dev/null; then
    echo "rtsan: skipped: no cc and ar to make a shared library of $library"
    exit 0
fi

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
cp "$library" "$made/rtsan.a"
# What runs before a program does has no place in a shared library, and is not needed in one.
ar d "$made/rtsan.a" rtsan_preinit.cpp.o
cc -shared -o "$made/rtsan.so" -Wl,--whole-archive "$made/rtsan.a" -Wl,--no-whole-archive \
    -lpthread -ldl -lm -lrt
echo "rtsan: with $library"

features=()
if [ "${scope[0]}" = --workspace ] || command -v jackd >/dev/null; then
    features=(--features jack)
fi
programs=$(cargo test "${scope[@]}" "${features[@]}" --no-run --quiet --message-format json-render-diagnostics)

# Runs the program of a test, the sanitizer in it.
run() {
    local program
    program=$(echo "$programs" | grep '"kind":\["test"\]' | grep "\"name\":\"$1\"" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    if [ -z "$program" ]; then
        echo "rtsan: the test $1 was not built"
        return 1
    fi
    (cd engine && LD_PRELOAD="$made/rtsan.so" "$program" "${@:2}")
}

# First, that it sees what it is there to see: this test allocates on purpose.
code=0
run no_locks what_is_forbidden_is_seen >/dev/null 2>&1 || code=$?
if [ "$code" -ne 43 ]; then
    echo "rtsan: an allocation was not seen (the test ended with $code, not with 43)"
    exit 1
fi
for test in no_alloc rt_no_alloc torture edits_under_load; do
    run "$test" --nocapture
done
