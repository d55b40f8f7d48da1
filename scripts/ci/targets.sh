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
# As for releases: addons are loaded by a C library that is there.
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="-C target-feature=-crt-static"
# For Windows, napi-build wants the library of Node to be there.
export LIBNODE_PATH="$PWD/$CARGO_TARGET_DIR/node"
mkdir -p "$LIBNODE_PATH"
touch "$LIBNODE_PATH/libnode.dll"
# The tools of MSVC: an archive is copied, so it has to be there.
tools="$PWD/$CARGO_TARGET_DIR/msvc"
mkdir -p "$tools"
printf '%s\n' '#!/bin/sh' 'for word; do case $word in -out:*) : > "${word#*:}" ;; esac; done' > "$tools/lib"
chmod +x "$tools/lib"
cp "$tools/lib" "$tools/ml64.exe"
export AR_x86_64_pc_windows_msvc="$tools/lib" PATH="$tools:$PATH"

for target in "${targets[@]}"; do
  echo "== $target"
  cargo clippy --workspace --all-targets --features threadmill/faults --target "$target" -- -D warnings
done
