#!/usr/bin/env bash
# Inside the lab machine, at every boot, before the services that look for it: plugs the hardware in.
#   Wi-Fi      wlan0 for NetworkManager; access points, each in a network namespace of its own and with DHCP (but LabCorp):
#              "LabNet" (WPA2, password correcthorse, 10.77.0.0/24) in ap-wlan1, "LabOpen" (open, 10.78.0.0/24) in ap-wlan2,
#              "LabSafe" (WPA3, password correcthorse, 10.79.0.0/24, 5 GHz) in ap-wlan3, "LabHidden" (WPA2, password correcthorse,
#              its name not told, 10.80.0.0/24) in ap-wlan4, "LabCorp" (WPA2 Enterprise) in ap-wlan5
#   Bluetooth  two virtual controllers (LE and BR/EDR) that hear each other: hci0 is the machine's, hci1 the peer's
#   sound      snd-aloop (loopback) and snd-dummy cards
#   camera     vivid's test pattern on /dev/video0
# The NVMe drives are the emulator's (boot.sh).
set -uo pipefail
modprobe mac80211_hwsim radios=6
modprobe -a hci_vhci vivid snd-aloop snd-dummy
until [ -e /sys/class/net/wlan5 ]; do sleep 0.1; done

iw reg set US

access_point() { # interface ssid subnet channel [line of hostapd's configuration ...]
  local name=ap-$1 mode=g interface=$1 ssid=$2 subnet=$3 channel=$4
  shift 4
  [ "$channel" -le 14 ] || mode=a
  ip netns add "$name"
  iw phy "phy$(iw dev "$interface" info | awk '/wiphy/ { print $2 }')" set netns name "$name"
  printf '%s\n' "interface=$interface" driver=nl80211 "ssid=$ssid" "hw_mode=$mode" "channel=$channel" country_code=US "$@" >"/run/$name.conf"
  ip netns exec "$name" ip link set lo up
  ip netns exec "$name" hostapd -B -P "/run/$name.hostapd.pid" "/run/$name.conf"
  ip netns exec "$name" ip address add "$subnet.1/24" dev "$interface"
  ip netns exec "$name" dnsmasq --interface="$interface" --bind-interfaces --dhcp-range="$subnet.10,$subnet.50,1h" --port=0 \
    --pid-file="/run/$name.dnsmasq.pid" --dhcp-leasefile="/run/$name.leases"
}
psk=(wpa=2 wpa_key_mgmt=WPA-PSK rsn_pairwise=CCMP wpa_passphrase=correcthorse)
access_point wlan1 LabNet 10.77.0 6 "${psk[@]}"
access_point wlan2 LabOpen 10.78.0 11
access_point wlan3 LabSafe 10.79.0 36 wpa=2 wpa_key_mgmt=SAE rsn_pairwise=CCMP ieee80211w=2 sae_password=correcthorse
access_point wlan4 LabHidden 10.80.0 1 "${psk[@]}" ignore_broadcast_ssid=1
access_point wlan5 LabCorp 10.81.0 3 wpa=2 wpa_key_mgmt=WPA-EAP rsn_pairwise=CCMP ieee8021x=1 eap_server=1 eap_user_file=/dev/null

setsid btvirt -l2 -L >/run/btvirt.log 2>&1 </dev/null &
until [ -e /sys/class/bluetooth/hci1 ] && [ -e /dev/video0 ]; do sleep 0.1; done
