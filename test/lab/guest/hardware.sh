#!/usr/bin/env bash
# Inside the lab machine, at every boot, before the services that look for it: plugs the hardware in.
#   Wi-Fi      wlan0 for NetworkManager; two access points, each in a network namespace of its own:
#              "LabNet" (WPA2, password correcthorse, DHCP 10.77.0.0/24) in ap-wlan1, "LabOpen" (open, DHCP 10.78.0.0/24) in ap-wlan2
#   Bluetooth  two virtual controllers (LE and BR/EDR) that hear each other: hci0 is the machine's, hci1 the peer's
#   sound      snd-aloop (loopback) and snd-dummy cards
#   camera     vivid's test pattern on /dev/video0
# The NVMe drives are the emulator's (boot.sh).
set -uo pipefail
modprobe mac80211_hwsim radios=3
modprobe -a hci_vhci vivid snd-aloop snd-dummy
until [ -e /sys/class/net/wlan2 ]; do sleep 0.1; done

access_point() { # interface ssid subnet channel [password]
  local name=ap-$1
  ip netns add "$name"
  iw phy "phy$(iw dev "$1" info | awk '/wiphy/ { print $2 }')" set netns name "$name"
  {
    printf 'interface=%s\ndriver=nl80211\nssid=%s\nhw_mode=g\nchannel=%s\n' "$1" "$2" "$4"
    [ -z "${5:-}" ] || printf 'wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=%s\n' "$5"
  } >"/run/$name.conf"
  ip netns exec "$name" ip link set lo up
  ip netns exec "$name" hostapd -B -P "/run/$name.hostapd.pid" "/run/$name.conf"
  ip netns exec "$name" ip address add "$3.1/24" dev "$1"
  ip netns exec "$name" dnsmasq --interface="$1" --bind-interfaces --dhcp-range="$3.10,$3.50,1h" --port=0 \
    --pid-file="/run/$name.dnsmasq.pid" --dhcp-leasefile="/run/$name.leases"
}
access_point wlan1 LabNet 10.77.0 6 correcthorse
access_point wlan2 LabOpen 10.78.0 11

setsid btvirt -l2 -L >/run/btvirt.log 2>&1 </dev/null &
until [ -e /sys/class/bluetooth/hci1 ] && [ -e /dev/video0 ]; do sleep 0.1; done
