#!/usr/bin/env bash
# Makes this checkout the service of this machine, or upgrades the service to it. Can be run again at any time; asks nothing.
# usage: scripts/install.sh [--dry-run] [--rollback]
#   --dry-run    says what it would do, and does nothing
#   --rollback   goes back to the release that ran before this one
# What it puts where, and how to live with it: scripts/service/README.md
set -euo pipefail
umask 022
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/prepare.sh
. scripts/service/functions.sh

dry='' rollback='' unfit='' arguments=("$@")
for argument in "$@"; do
  case $argument in
    --dry-run) dry=yes ;;
    --rollback) rollback=yes ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
done

# step SENTENCE COMMAND...: says it and does it, or only says it.
step() {
  say "$1"
  shift
  if [ -z "$dry" ]; then "$@"; fi
}

# In a dry run it is told, and the rest too.
refuse() {
  if [ -z "$dry" ]; then give_up "$*"; fi
  say "would stop here: $*"
  unfit=yes
}

refuse_unfit_machine() {
  if [ "$(getconf LONG_BIT)" != 64 ]; then refuse 'this is a 32-bit system; Patchbay needs a 64-bit one (on a Raspberry Pi 3 or newer: Raspberry Pi OS 64-bit).'; fi
  if [ ! -d /run/systemd/system ]; then refuse 'systemd does not run this machine; without it: scripts/start.sh'; fi
  if command -v systemctl >/dev/null && [ "$(systemctl --version | awk 'NR == 1 { print $2 }')" -lt 252 ]; then
    refuse 'this systemd is older than 252: upgrade to Debian 12 or newer.'
  fi
  if [ "$(dpkg-query -W -f='${db:Status-Status}' patchbay 2>/dev/null || true)" = installed ]; then
    refuse 'the Debian package patchbay is installed. Upgrade that, or remove it first (settings stay): sudo apt remove patchbay'
  fi
  read -r node arch version < <(node -p '[process.execPath, process.arch, require("./package.json").version].join(" ")')
  case $arch in
    x64 | arm64 | riscv64 | ppc64 | s390x | loong64) ;;
    *) refuse "$node is a 32-bit program ($arch); Patchbay needs a 64-bit Node.js." ;;
  esac
  case $node in
    /home/* | /root/* | /run/user/* | /tmp/*)
      refuse "the service cannot see $node: home directories are closed to it. Install Node.js for the whole system: sudo apt install nodejs" ;;
  esac
}

# As the owner of the checkout, so that nothing in it becomes root's and no package's code runs as root.
build() {
  local owner
  if [ -e dist/main.js ] && [ -z "$(find core plugins scripts/cli config/schemas package.json package-lock.json -newer dist/main.js -print -quit)" ]; then
    say 'dist/ is built from these sources'
    return
  fi
  owner=$(stat -c %U .)
  if [ "$(id -u)" -eq 0 ] && [ "$owner" != root ]; then
    step "builds dist/, as $owner" runuser -u "$owner" -- bash -c '. scripts/prepare.sh && need_node && need_packages && npm run --silent build'
  else
    step 'builds dist/' eval 'need_node && need_packages && npm run --silent build'
  fi
}

# What plugins use: the system bus, permission to restart and to run as users of their own, the health of drives, cameras, sound. It runs
# without, with less to show. Raspberry Pi OS brings the programs for its own camera (rpicam-apps), Debian has none.
debian_packages() {
  local missing=() name sound='dbus-user-session pulseaudio-utils'
  # The two do not live together, and who has PulseAudio has it for some reason.
  if [ "$(dpkg-query -W -f='${db:Status-Status}' pulseaudio 2>/dev/null || true)" != installed ]; then sound="$sound pipewire-pulse wireplumber libspa-0.2-bluetooth"; fi
  for name in dbus polkitd xdg-dbus-proxy nvme-cli smartmontools ffmpeg $sound; do
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)" != installed ]; then missing+=("$name"); fi
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  step "installs the Debian packages ${missing[*]}" apt_install "${missing[@]}"
}
apt_install() {
  if DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null; then return; fi
  say "they could not be installed; Patchbay runs without, with less to show. Later: sudo apt install $*"
}

# Settings and sessions of a daemon that was run from this checkout.
adopt() {
  local files=() file
  for file in config/*.json; do if [ -e "$file" ]; then files+=("$file"); fi; done
  if [ ${#files[@]} -gt 0 ]; then step "copies ${files[*]} to $config" cp "${files[@]}" "$config/"; fi
  if [ -d .data ]; then
    step "copies sessions and plugins from .data to $state" cp_data
    # Certificates and plugin directories may be named by their old place.
    step "points the settings from $PWD/.data to $state" point_settings
  fi
  step "gives them to the user patchbay" chown -R patchbay:patchbay "$config" "$state"
  step "closes them to other users" chmod -R go-rwx "$state" "$config"
  if [ -z "$dry" ]; then chmod 750 "$config"; fi
}
cp_data() {
  (cd .data && find . -mindepth 1 -maxdepth 1 ! -name control -exec cp -R {} "$state/" \;)
}
point_settings() {
  local file
  for file in "$config"/*.json; do
    if [ -e "$file" ]; then sed -i "s|$PWD/\.data/|$state/|g" "$file"; fi
    if grep -qs '"/\(home\|root\)/' "$file"; then say "$file names a path in a home directory, which the service cannot see: change it"; fi
  done
}
refuse_running_checkout() {
  if [ -S .data/control/socket ] && node -e 'require("net").connect(".data/control/socket").on("connect", () => process.exit(0)).on("error", () => process.exit(1))'; then
    refuse 'a daemon runs from this checkout. Stop it first (Ctrl-C there), so that its sessions are complete.'
  fi
}

# make_backup FILE RELEASE: in the form that `patchbay restore` reads. Without it nothing is changed.
make_backup() {
  mkdir -p -m 700 "$backups"
  PATCHBAY_CONFIG_DIR=$config PATCHBAY_DATA_DIR=$state node "$2/dist/cli.js" backup "$1" ||
    give_up 'settings and sessions could not be saved (see above); nothing was changed'
  # The last three.
  find "$backups" -name 'before-*.tar.gz' -printf '%T@ %p\n' | sort -rn | awk 'NR > 3 { print $2 }' | xargs -r rm -f
}

# point LINK RELEASE: in one step, so that there is no moment without it.
point() {
  ln -sfn "$2" "$opt/$1.new"
  mv -T "$opt/$1.new" "$opt/$1"
}

make_user() { # RELEASE
  systemd-sysusers "$1/service/sysusers.conf" && systemd-tmpfiles --create "$1/service/tmpfiles.conf"
}

# switch_to RELEASE: runs it; fails if it does not get healthy.
switch_to() {
  put_files '' local "$1" "$opt/current" "$node" && point current "$1" && configure_machine &&
    systemctl --quiet enable patchbay.service patchbay-smart.socket && systemctl restart patchbay-smart.socket && healthy && start_sound
}

prune() {
  local kept
  kept=" $(readlink "$opt/current") $(readlink "$opt/previous" || true) "
  find "$opt/releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | while read -r _ path; do
    count=$((${count:-0} + 1))
    case $kept in *" $path "*) continue ;; esac
    if [ "$count" -gt 3 ]; then rm -rf "$path"; fi
  done
}

why_not() {
  journalctl --unit=patchbay.service --lines=15 --no-pager --output=cat >&2 || true
}

finish() {
  if [ -n "$dry" ]; then
    say 'nothing was changed'
    if [ -n "$unfit" ]; then exit 1; fi
    return
  fi
  say "it runs: $(basename "$(readlink "$opt/current")")"
  say 'a link to log in as the owner: sudo patchbay login'
}

go_back() {
  local now before
  before=$(readlink "$opt/previous" || true)
  now=$(readlink "$opt/current" || true)
  if [ -z "$before" ] || [ ! -d "$before" ]; then give_up 'there is no earlier release to go back to.'; fi
  step "goes back to $(basename "$before")" switch_to "$before" || { why_not; give_up "$(basename "$before") does not run either: journalctl -u patchbay"; }
  if [ -z "$dry" ]; then point previous "$now"; fi
  finish
}

install_release() {
  local staging release before='' backup
  before=$(readlink "$opt/current" 2>/dev/null || true)
  debian_packages
  if [ -n "$dry" ]; then
    say "copies the package to $opt/releases/$version-<hash of its content>"
  else
    mkdir -p "$opt/releases"
    rm -rf "$opt"/releases/.new
    staging=$opt/releases/.new
    stage "$staging"
    release=$opt/releases/$version-$(cd "$staging" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-8)
    say "copies the package to $release"
    if [ "$release" = "$before" ]; then before=$(readlink "$opt/previous" || true); fi
    if [ -d "$release" ]; then rm -rf "$staging"; touch "$release"; else mv "$staging" "$release"; fi
  fi
  step 'makes the system user patchbay, who may use cameras, sound and Bluetooth, and patchbay-sound, in whose session sound lives; no shell for either' make_user "${release:-}"
  if [ -e "$opt/current" ] || [ -n "$(ls -A "$state" 2>/dev/null)" ] || ls "$config"/*.json >/dev/null 2>&1; then
    backup=$backups/before-$version-$(date +%Y%m%d-%H%M%S).tar.gz
    step "saves settings and sessions to $backup" make_backup "$backup" "${release:-}"
  else
    step "makes $state" install -d -m 700 -o patchbay -g patchbay "$state"
    adopt
  fi
  service_files local | while read -r _ place _; do say "writes $place"; done
  if [ -n "$dry" ]; then
    say 'starts it and waits until it is ready; if it does not get ready within 30 s, goes back to the release before'
    finish
    return
  fi
  say 'starts it and waits until it is ready'
  if switch_to "$release"; then
    if [ -n "$before" ] && [ "$before" != "$release" ]; then point previous "$before"; fi
    prune
    finish
    return
  fi
  why_not
  if [ -z "$before" ]; then
    systemctl stop patchbay.service
    give_up 'it does not run (see above), and there is no earlier release. Then: journalctl -u patchbay'
  fi
  say "it does not run (see above); goes back to $(basename "$before")"
  if switch_to "$before"; then
    rm -rf "$release"
    give_up "$(basename "$release") was not installed; $(basename "$before") runs again. Settings and sessions as they were: sudo patchbay restore ${backup:-}"
  fi
  give_up "$(basename "$before") does not run either: journalctl -u patchbay"
}

# npm is needed only where something is to be built.
refuse_unfit_node() {
  local fits='const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'
  if command -v node >/dev/null && node -e "$fits"; then return; fi
  give_up 'Node.js 20.19 or newer is needed. Debian 13 and newer have it: sudo apt install nodejs npm. For older ones see https://nodejs.org/en/download.'
}

refuse_unfit_node
refuse_unfit_machine
if [ -z "$rollback" ]; then build; fi
if [ "$(id -u)" -ne 0 ] && [ -z "$dry" ]; then
  command -v sudo >/dev/null || give_up 'the rest needs root: run it as root'
  say 'the rest needs root'
  exec sudo env PATH="$PATH" "$PWD/scripts/install.sh" "${arguments[@]}"
fi
if [ -n "$rollback" ]; then go_back; exit; fi
if [ ! -e "$opt/current" ]; then refuse_running_checkout; fi
install_release
