#!/usr/bin/env bash
# Runs Patchbay from this checkout, in the foreground, on a machine that has Node.js and nothing else.
# Arguments are passed on to `patchbay start`.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/prepare.sh

be_ready
say 'starting (Ctrl-C stops it)'
exec node dist/cli.js start --print-link "$@"
