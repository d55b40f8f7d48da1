#!/usr/bin/env bash
# Publishes the platform packages, then the main package that names them. Called by release.yml alone, with the built
# binaries below artifacts/. DRY_RUN=1 does everything but the upload.
set -euo pipefail
cd "$(dirname "$0")/../.."
dry=()
if [ -n "${DRY_RUN:-}" ]; then dry=(--dry-run); else export NPM_CONFIG_PROVENANCE=true; fi

npx napi create-npm-dirs
npx napi artifacts --output-dir artifacts

# The binaries belong to the platform packages; here they would ship with every platform's package.
rm -f ./*.node native/*.node
if npm pack --dry-run --json --ignore-scripts | grep -q '\.node"'; then
  echo 'the main package would hold a binary' >&2
  exit 1
fi

# Adds the platform packages to optionalDependencies and publishes them.
npx napi pre-publish --tag-style npm --no-gh-release ${dry[@]+"${dry[@]}"}
npm publish --access public --ignore-scripts ${dry[@]+"${dry[@]}"}
