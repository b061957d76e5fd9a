#!/usr/bin/env bash
# Takes out what install.sh put in place. Settings, sessions and dropped-in plugins stay, unless --purge is given.
# usage: scripts/uninstall.sh [--dry-run] [--purge]
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/prepare.sh
. scripts/service/functions.sh

dry='' purge='' arguments=("$@")
for argument in "$@"; do
  case $argument in
    --dry-run) dry=yes ;;
    --purge) purge=yes ;;
    *) sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
done
step() {
  say "$1"
  shift
  if [ -z "$dry" ]; then "$@"; fi
}

if [ "$(id -u)" -ne 0 ] && [ -z "$dry" ]; then
  command -v sudo >/dev/null || give_up 'this needs root: run it as root'
  exec sudo "$PWD/scripts/uninstall.sh" "${arguments[@]}"
fi
stop_units() {
  systemctl --quiet disable --now patchbay.service patchbay-smart.socket 2>/dev/null || true
  systemctl --quiet stop 'patchbay-plugin*.service' 2>/dev/null || true
}
reload() {
  systemctl daemon-reload
  systemctl reset-failed 'patchbay*' 2>/dev/null || true
}

step 'stops the service' stop_units
while read -r _ place _; do
  if [ -e "$place" ]; then step "removes $place" rm -f "$place"; fi
done < <(service_files local)
for place in $plugin_groups; do
  if [ -e "$place" ]; then step "removes $place" rm -r "${place%/*}"; fi
done
if [ -e "$opt" ]; then step "removes $opt" rm -rf "$opt"; fi
step 'ends the session for sound' stop_sound
step 'lets systemd know' reload
if [ -n "$purge" ]; then
  for path in "$config" "$state" "$backups" "$credential" "$store_url" /etc/systemd/system/patchbay.service.d; do
    if [ -e "$path" ]; then step "removes $path" rm -rf "$path"; fi
  done
  if getent passwd patchbay >/dev/null; then step 'removes the user patchbay' userdel patchbay; fi
  if getent passwd "$sound_user" >/dev/null; then step "removes the user $sound_user" userdel "$sound_user"; fi
else
  say "settings and sessions stay in $config and $state, backups in $backups; with --purge they go too"
fi
if [ -n "$dry" ]; then say 'nothing was changed'; fi
