#!/usr/bin/env bash
# Runs the torture of the audio callback under the toolchain's real-time sanitizer, which ends it with a
# stack trace where the callback allocates, locks or blocks. rustc ships the library with some
# toolchains; where it is not there this says so and stops without an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

host=$(rustc --version --verbose | sed -n 's/^host: //p')
folder=$(rustc --print sysroot)/lib/rustlib/$host/lib
library=$(find "$folder" -name 'librustc-*_rt.rtsan.a' | head -n 1)
if [ -z "$library" ]; then
    echo "rtsan: skipped: $(rustc --version) has no librustc-*_rt.rtsan.a in $folder;"
    echo "rtsan: a toolchain of rustup for x86_64-unknown-linux-gnu, 1.95 or later, has it"
    exit 0
fi
echo "rtsan: with $library"

features=()
command -v jackd >/dev/null && features=(--features jack)

# The program of a test, built with the library in it.
build() {
    cargo rustc --package pulse-engine "${features[@]}" --test "$1" --profile test \
        --message-format json -- --cfg rtsan -C link-arg=-Wl,--whole-archive \
        -C "link-arg=$library" -C link-arg=-Wl,--no-whole-archive 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

# First, that it sees what it is there to see: this test allocates on purpose.
program=$(build no_locks)
code=0
(cd engine && "$program" what_is_forbidden_is_seen >/dev/null 2>&1) || code=$?
if [ "$code" -ne 43 ]; then
    echo "rtsan: an allocation was not seen (the test ended with $code, not with 43)"
    exit 1
fi
for test in no_alloc rt_no_alloc torture edits_under_load; do
    program=$(build "$test")
    (cd engine && "$program" --nocapture)
done
