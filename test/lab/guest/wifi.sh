#!/usr/bin/env bash
# Inside the lab machine: plugs the radios in, once more after `modprobe -r mac80211_hwsim`. wlan0 is NetworkManager's. The others are access
# points, each in a network namespace of its own and with DHCP (but LabCorp):
#   ap-wlan1  LabNet     WPA2, password correcthorse                     10.77.0.0/24
#   ap-wlan2  LabOpen    open                                            10.78.0.0/24
#   ap-wlan3  LabSafe    WPA3, password correcthorse, 5 GHz              10.79.0.0/24
#   ap-wlan4  LabHidden  WPA2, password correcthorse, its name not told  10.80.0.0/24
#   ap-wlan5  LabCorp    WPA2 Enterprise
# `wifi.sh on|off NUMBER` switches one of them on or off.
set -uo pipefail

air() { ip netns exec "ap-wlan$1" hostapd -B -P "/run/ap-wlan$1.hostapd.pid" "/run/ap-wlan$1.conf"; }
case ${1:-} in
  on) air "$2"; exit ;;
  off) kill "$(cat "/run/ap-wlan$2.hostapd.pid")"; exit ;;
esac

modprobe mac80211_hwsim radios=6
until [ -e /sys/class/net/wlan5 ]; do sleep 0.1; done
iw reg set US

access_point() { # number ssid subnet channel [line of hostapd's configuration ...]
  local interface=wlan$1 name=ap-wlan$1 ssid=$2 subnet=$3 channel=$4 mode=g
  shift 4
  [ "$channel" -le 14 ] || mode=a
  if [ -e "/run/netns/$name" ]; then
    ip netns pids "$name" | xargs -r kill
    ip netns delete "$name"
  fi
  ip netns add "$name"
  iw phy "phy$(iw dev "$interface" info | awk '/wiphy/ { print $2 }')" set netns name "$name"
  printf '%s\n' "interface=$interface" driver=nl80211 "ssid=$ssid" "hw_mode=$mode" "channel=$channel" country_code=US "$@" >"/run/$name.conf"
  ip netns exec "$name" ip link set lo up
  air "${interface#wlan}"
  ip netns exec "$name" ip address add "$subnet.1/24" dev "$interface"
  ip netns exec "$name" dnsmasq --interface="$interface" --bind-interfaces --dhcp-range="$subnet.10,$subnet.50,1h" --port=0 \
    --pid-file="/run/$name.dnsmasq.pid" --dhcp-leasefile="/run/$name.leases"
}
psk=(wpa=2 wpa_key_mgmt=WPA-PSK rsn_pairwise=CCMP wpa_passphrase=correcthorse)
access_point 1 LabNet 10.77.0 6 "${psk[@]}"
access_point 2 LabOpen 10.78.0 11
access_point 3 LabSafe 10.79.0 36 wpa=2 wpa_key_mgmt=SAE rsn_pairwise=CCMP ieee80211w=2 sae_password=correcthorse
access_point 4 LabHidden 10.80.0 1 "${psk[@]}" ignore_broadcast_ssid=1
access_point 5 LabCorp 10.81.0 3 wpa=2 wpa_key_mgmt=WPA-EAP rsn_pairwise=CCMP ieee8021x=1 eap_server=1 eap_user_file=/dev/null
