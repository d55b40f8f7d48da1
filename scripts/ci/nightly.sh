# Sourced by miri.sh and tsan.sh. The nightly toolchain of the concurrency checks is named here and nowhere else;
# dated, so that a change of the tools arrives with the commit that raises the date.
NIGHTLY="${THREADMILL_NIGHTLY:-nightly-2026-05-20}"

# nightly_with COMPONENT...: installs the toolchain unless it is there with these components.
nightly_with() {
  local installed component
  installed="$(rustup component list --toolchain "$NIGHTLY" --installed 2>/dev/null || true)"
  for component in "$@"; do
    if ! grep -q "^$component" <<<"$installed"; then
      rustup toolchain install "$NIGHTLY" --profile minimal --no-self-update --component "$(IFS=,; echo "$*")"
      return
    fi
  done
}
