#!/usr/bin/env bash
# Inside the lab machine: two virtual controllers (LE and BR/EDR) that hear each other. hci0 is the machine's, hci1 the peer's.
# `bluetooth.sh off` pulls both; without it they are plugged in, again if need be.
# Twice btvirt (BlueZ 5.82) fell, with a general protection fault, after `hciconfig hci1 class ...`, and not otherwise: leave the class alone.
set -u
pull() {
  pkill -x btvirt
  while compgen -G '/sys/class/bluetooth/hci*' >/dev/null; do sleep 0.1; done
}
if [ "${1:-}" = off ]; then pull; exit; fi
for _ in {1..5}; do
  setsid btvirt -l2 >/run/btvirt.log 2>&1 </dev/null &
  SECONDS=0
  while [ "$SECONDS" -lt 20 ]; do
    if [ "$(hciconfig | grep -c 'BD Address: 00:AA:')" = 2 ]; then exit; fi
    sleep 0.2
  done
  # The kernel waits 2 s for a controller's first answer and leaves it down after that; a loaded machine may take longer.
  pull
done
exit 1
