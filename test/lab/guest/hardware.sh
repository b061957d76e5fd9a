#!/usr/bin/env bash
# Inside the lab machine, at every boot, before the services that look for it: plugs the hardware in.
#   Wi-Fi      wlan0 for NetworkManager, and five access points (wifi.sh)
#   Bluetooth  two virtual controllers (LE and BR/EDR) that hear each other: hci0 is the machine's, hci1 the peer's
#   sound      snd-aloop (loopback) and snd-dummy cards
#   camera     vivid's test pattern on /dev/video0
# The NVMe drives are the emulator's (boot.sh).
set -uo pipefail
bash /host/wifi.sh
modprobe -a hci_vhci vivid snd-aloop snd-dummy
bash /host/bluetooth.sh
until [ -e /dev/video0 ]; do sleep 0.1; done
