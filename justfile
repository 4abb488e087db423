# `just` lists these; each is one line that also works by hand.

_default:
    @just --list

# What CI runs before the tests, without the tests.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --features jack -- -D warnings

# The README's test command.
test:
    cargo test --workspace --features jack

# Property tests up to a thousand times as long, of cases that nobody drew before.
soak seed=`date +%s`:
    @echo "seed {{seed}}"
    PULSE_SOAK=1 PROPTEST_RNG_SEED={{seed}} cargo test --release --workspace --features jack

# The audio callback under the toolchain's real-time sanitizer, where the toolchain has it; says what is missing.
rtsan:
    engine/tests/rtsan.sh

# The promises of benches/, three minutes; `just bench --full` is the long form.
bench *args:
    cargo bench --package pulse-benches -- {{args}}

# SQLite and git at the same work.
compare:
    python3 benches/compare/compare.py

# ecasound, scsynth and pedalboard at the same mix; says what is missing. PYTHON has numpy and scipy.
rivals python="python3" *args:
    {{python}} benches/compare/rivals.py {{args}}

# A minute on each fuzz target; needs cargo-fuzz and a nightly toolchain.
fuzz seconds="60":
    cargo run --quiet --package pulse-schemas --example seeds
    cd fuzz && for target in $(cargo +nightly fuzz list); do \
        case "$target" in audio) seeds=../tests/fixtures/audio ;; *) seeds=../schemas/tests/corpus ;; esac; \
        mkdir -p "corpus/$target"; \
        cargo +nightly fuzz run "$target" "corpus/$target" "$seeds" -- \
            -max_total_time={{seconds}} -rss_limit_mb=2048 -timeout=20 || exit 1; \
    done

# Writes the golden pages of the command line anew (`tests/golden/`); read what changed.
golden:
    PULSE_GOLDEN=1 cargo test --package pulse-tests --test it -- golden

# Writes what is generated from the command table.
gen:
    cargo run --quiet --package pulse-schemas --example gen
    PULSE_GEN=1 cargo test --quiet --package pulse-server --lib the_reference_in_the_docs

# The whole story in one command.
demo *args:
    cargo run --release -- demo {{args}}

fmt:
    cargo fmt --all
