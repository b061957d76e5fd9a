#!/usr/bin/env bash
# Makes a plugin package that builds, passes conformance and its own test: scripts/new-plugin.sh NAME DIR [--js]
# DIR is the new folder. Needs no network: what the package is developed with is linked from this checkout.
set -euo pipefail
root="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)"
say() { printf '%s\n' "$*"; }
give_up() { printf 'new-plugin: %s\n' "$*" >&2; exit "${status:-1}"; }

template=typescript
names=()
for argument in "$@"; do
  case "$argument" in
    --js) template=javascript ;;
    -*) status=64 give_up "there is no option $argument; usage: scripts/new-plugin.sh NAME DIR [--js]" ;;
    *) names+=("$argument") ;;
  esac
done
[ "${#names[@]}" -eq 2 ] || status=64 give_up 'usage: scripts/new-plugin.sh NAME DIR [--js]'
name="${names[0]}" dir="${names[1]}"

# As the host judges it (core/lifecycle/contract-check.ts).
LC_ALL=C
[[ "$name" =~ ^[a-z][a-z0-9-]{0,31}$ ]] || give_up 'NAME is lower-case letters, digits and dashes, at most 32, a letter first.'
[[ ! "$name" =~ ^(module|auth|error|core|patchbay|host)$ ]] || give_up "\"$name\" is reserved; choose another NAME."
[ ! -e "$root/plugins/$name" ] || give_up "a plugin \"$name\" comes with Patchbay; choose another NAME."
[ ! -e "$dir" ] && [ ! -L "$dir" ] || give_up "$dir is there already; nothing was written."
[ -e "$root/dist/testing.js" ] || give_up "dist/ is missing; build it first: cd '$root' && npm ci && npm run build"

# Nobody else may write to it, or the host would refuse it.
umask 022
mkdir -p "$(dirname "$dir")"
cp -R "$root/scripts/template/$template" "$dir"
dir="$(cd "$dir" && pwd)"
mv "$dir/gitignore" "$dir/.gitignore"
code="$(printf '%s' "$name" | tr 'a-z-' 'A-Z_')"
find "$dir" -type f -exec sed -i "s/SAMPLE/$code/g; s/sample/$name/g" {} +

# The same links and entries as npm install --save-dev makes.
mkdir -p "$dir/node_modules/.bin"
ln -s "$root" "$dir/node_modules/patchbay"
ln -s ../patchbay/dist/cli.js "$dir/node_modules/.bin/patchbay"
if [ "$template" = typescript ]; then
  mkdir -p "$dir/node_modules/@types"
  ln -s "$root/node_modules/typescript" "$dir/node_modules/typescript"
  ln -s "$root/node_modules/@types/node" "$dir/node_modules/@types/node"
  ln -s ../typescript/bin/tsc "$dir/node_modules/.bin/tsc"
fi
node --input-type=module - "$root" "$dir" <<'SCRIPT'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
const [, , root, dir] = process.argv
const { devDependencies } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
const manifest = JSON.parse(readFileSync(`${dir}/package.json`, 'utf8'))
const developedWith = existsSync(`${dir}/tsconfig.json`) ? ['@types/node', 'typescript'] : []
manifest.devDependencies = Object.fromEntries(developedWith.map((name) => [name, devDependencies[name]]))
manifest.devDependencies.patchbay = `file:${root}`
writeFileSync(`${dir}/package.json`, `${JSON.stringify(manifest, undefined, 2)}\n`)
SCRIPT

say "$dir is a plugin. Next:"
say ''
say "  cd '$dir' && npm test"
say "  npm run host plugins enable $name"
say '  npm run host start -- --print-link'
