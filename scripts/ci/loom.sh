#!/usr/bin/env bash
# Every interleaving of the small models of sleeping, stealing and completing (crates/core/src/models.rs).
# Arguments go to the test program, for example the name of one test.
set -euo pipefail
cd "$(dirname "$0")/../.."

# A folder of its own: the flag changes every crate, and would throw away the ordinary build each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}"
# Three preemptions find nearly all known bugs and keep a model within minutes.
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"

cargo test -p threadmill-core --release --no-default-features --lib loom_ -- "$@"
