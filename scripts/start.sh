#!/usr/bin/env bash
# Runs Patchbay from this checkout, in the foreground, on a machine that has Node.js and nothing else.
# Arguments are passed on to `patchbay start`. With --demo before them every module runs on simulated hardware, beside whatever is
# installed: with a configuration and data of its own, in .demo/ (or PATCHBAY_DEMO_DIR).
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/prepare.sh

demo() {
  local place=${PATCHBAY_DEMO_DIR:-$PWD/.demo}
  export PATCHBAY_CONFIG_DIR=$place/config PATCHBAY_DATA_DIR=$place/data
  install -D -m 600 scripts/demo/plugins.json "$PATCHBAY_CONFIG_DIR/plugins.json"
  say "SIMULATED: nothing that the modules show and do is real. Configuration and data are in $place."
}

if [ "${1-}" = --demo ]; then
  shift
  demo
fi
be_ready
say 'starting (Ctrl-C stops it)'
exec node dist/cli.js start --print-link "$@"
