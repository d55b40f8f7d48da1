#!/usr/bin/env bash
# Whether the Rust code compiles, without a warning, for platforms that this is not run on. Nothing is linked, so it takes no
# compiler for C and no tools of the platform. Arguments are targets in place of these.
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  targets=(
    aarch64-apple-darwin aarch64-unknown-linux-gnu x86_64-unknown-linux-musl x86_64-pc-windows-gnu x86_64-pc-windows-msvc
  )
fi
rustup target add "${targets[@]}"
# What dependencies compile from C is left out.
export CC=true CXX=true AR=true
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/targets"
# For Windows, napi-build wants the library of Node to be there.
export LIBNODE_PATH="$PWD/$CARGO_TARGET_DIR/node"
mkdir -p "$LIBNODE_PATH"
touch "$LIBNODE_PATH/libnode.dll"

for target in "${targets[@]}"; do
  echo "== $target"
  cargo clippy --workspace --all-targets --features threadmill/faults --target "$target" -- -D warnings
done
