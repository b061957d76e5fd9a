# Read by start.sh, dev.sh and test.sh: what a checkout needs before anything can run. Every step says what it does, in one line.

say() { printf '%s\n' "patchbay: $*"; }
give_up() { printf '%s\n' "patchbay: $*" >&2; exit 1; }

need_node() {
  local how='Debian 13 and newer have it: sudo apt install nodejs npm. For older ones see https://nodejs.org/en/download.'
  local wanted='const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'
  command -v node >/dev/null || give_up "Node.js 20.19 or newer is needed and there is none on PATH. $how"
  node -e "$wanted" || give_up "Node.js 20.19 or newer is needed; $(command -v node) is $(node --version). $how"
  command -v npm >/dev/null || give_up "npm is needed (Node.js is here without it). $how"
}

# node_modules is as the lock file says when it keeps a copy of this very lock file.
need_packages() {
  if cmp -s package-lock.json node_modules/.installed-from.json; then return; fi
  # npm ci would empty what the link leads to, which is another checkout's.
  [ ! -L node_modules ] || give_up "node_modules is a link to $(readlink node_modules), where other packages are than package-lock.json names. Bring both to the same, or remove the link."
  say 'installing the npm packages that package-lock.json names'
  npm ci --no-audit --no-fund --loglevel=error || give_up 'npm ci failed (see above): is the npm registry to be reached?'
  cp package-lock.json node_modules/.installed-from.json
}

# dist/ is missing, or older than what it is built from.
stale() {
  [ ! -e dist/main.js ] || [ -n "$(find core plugins scripts config/schemas package.json package-lock.json -newer dist/main.js -print -quit)" ]
}

# All that a daemon of this checkout needs before it is started.
be_ready() {
  need_node
  need_packages
  if stale; then
    say 'building dist/'
    npm run --silent build
  fi
}
