#!/usr/bin/env bash
# Runs a plugin while you write it: scripts/dev.sh DIR. Starts a daemon with configuration and data of its own, which end with it,
# prints the link to log in with and what the plugin says, and loads changed code. Ctrl-C ends it. PATCHBAY_PORT is 8090 unless set.
set -euo pipefail
root="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)"
[ "$#" -eq 1 ] && [ "${1#-}" = "$1" ] || { echo 'usage: scripts/dev.sh DIR' >&2; exit 64; }
[ -f "$1/package.json" ] || { echo "dev: $1 is no plugin: it has no package.json. Make one with scripts/new-plugin.sh." >&2; exit 1; }
dir="$(cd "$1" && pwd -P)"
cd "$root"
. scripts/prepare.sh

be_ready
exec node --import="$root/scripts/strip-types.mjs" scripts/dev/main.ts "$dir"
