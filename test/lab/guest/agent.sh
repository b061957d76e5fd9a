#!/usr/bin/env bash
# Inside the lab machine: runs the scripts that the test on the outside puts into /host/jobs, as they are named on the serial port.
# In:  `<id> <seconds> <user>`. Out: `up <boot id>` once, then for each job `<id> <exit code> <output in base64>`.
# `thaw <seconds since 1970>` is said to a machine that was frozen without /host and Node.js; it answers `up` too.
# A port of its own and no network: whatever a test does to routes, radios and firewalls, it can go on asking.
set -u
# Before the machine goes down: the script that asked for it gets its answer.
if [ "${1:-}" = finish ]; then
  for _ in {1..50}; do compgen -G '/run/lab/[0-9]*' >/dev/null || break; sleep 0.1; done
  exit
fi
mkdir -p /run/lab
# From a copy, so that /host can be taken away.
if [ "$0" = /host/agent.sh ]; then
  printf '%s\n' "$(</host/agent.sh)" >/run/lab/agent.sh
  exec bash /run/lab/agent.sh
fi
until [ -e /dev/virtio-ports/lab ] && [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip address replace 10.0.2.15/24 dev eth0
ip link set eth0 up
export HOME=/root USER=root LANG=C.UTF-8 PAGER=cat SYSTEMD_PAGER='' SYSTEMD_COLORS=0 DEBIAN_FRONTEND=noninteractive
cd /root || exit

job() {
  local id=$1 seconds=$2 user=$3 out=/run/lab/$1 code=0 as=() uid
  printf '%s\n' "$(</host/jobs/"$id.sh")" >"$out.sh"
  if [ "$user" != root ]; then
    uid=$(id -u "$user") || uid=nobody
    as=(runuser -u "$user" -- env USER="$user" HOME="$(getent passwd "$user" | cut -d: -f6)" XDG_RUNTIME_DIR="/run/user/$uid")
  fi
  # A file and no pipe: a daemon that the script leaves behind keeps its output open.
  timeout --kill-after=2 "$seconds" "${as[@]}" bash "$out.sh" >"$out" 2>&1 </dev/null 3>&- || code=$?
  # One answer at a time on the port.
  {
    flock 9
    { printf '%s %s ' "$id" "$code"; head -c 8M "$out" | base64 -w0; echo; } >&3
  } 9>/run/lab/lock
  rm -f "$out" "$out.sh"
}

exec 3<>/dev/virtio-ports/lab
# The empty line ends what a machine that went down may have left half said.
printf '\nup %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r -u 3 id seconds user; do
  if [ "$id" = thaw ]; then
    date --set "@$seconds" >/dev/null
    mount /host && mount /opt/node && printf '\nup thawed\n' >&3
  else job "$id" "$seconds" "$user" & fi
done
