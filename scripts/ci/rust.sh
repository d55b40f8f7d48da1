#!/usr/bin/env bash
# Installs the oldest Rust that the workspace supports (rust-version in Cargo.toml) and makes it the default, so that
# CI never passes thanks to a newer one. The argument lists components; TARGET names a further target.
set -euo pipefail
cd "$(dirname "$0")/../.."

version="$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)"
rustup toolchain install "$version" --profile minimal --no-self-update --component "${1:-cargo}"
rustup default "$version"
if [ -n "${TARGET:-}" ]; then rustup target add "$TARGET"; fi
