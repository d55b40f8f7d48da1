#!/usr/bin/env bash
# Data races in the core on real threads, under ThreadSanitizer. The standard library is rebuilt with it, since races
# are reported wrongly where a part is not instrumented. Arguments are filters for test names.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/ci/nightly.sh

nightly_with rust-src
target="$(rustc "+$NIGHTLY" -vV | sed -n 's/^host: //p')"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export RUSTFLAGS="-Zsanitizer=thread ${RUSTFLAGS:-}"
# Tests ask for more memory than there can be.
export TSAN_OPTIONS="halt_on_error=1 allocator_may_return_null=1 ${TSAN_OPTIONS:-}"

cargo "+$NIGHTLY" test -p threadmill-core --tests -Zbuild-std --target "$target" -- "$@"
