#!/usr/bin/env bash
# Undefined behaviour and data races in the scheduler, under Miri. The kernels that call C cannot run there; the
# features leave them out. Arguments are filters for test names.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/ci/nightly.sh

nightly_with miri rust-src
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
# The pool reads the clock and the number of CPUs, and its threads outlive a test.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks ${MIRIFLAGS:-}"
# A few random cases each: Miri runs some hundred times slower.
export PROPTEST_CASES="${PROPTEST_CASES:-8}"

cargo "+$NIGHTLY" miri test -p threadmill-core --lib --no-default-features -- "$@"
