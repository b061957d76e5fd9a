#!/usr/bin/env bash
# Builds the Debian package of this checkout. Needs dpkg-deb, and dist/ (npm run build) made from these sources.
# usage: scripts/package-deb.sh [DIRECTORY]     prints the path of the package; DIRECTORY is where it is put (default: here)
set -euo pipefail
umask 022
out=$(realpath "${1:-.}")
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/prepare.sh
. scripts/service/functions.sh

[ -e dist/main.js ] || give_up 'there is no dist/: npm run build'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=/usr/lib/patchbay tree=$work/tree
version=$(node -p 'require("./package.json").version')
# It has the machine code of the database and of WebRTC for this kind of machine.
arch=$(dpkg --print-architecture)
mkdir -p "$tree$root" "$tree/DEBIAN" "$tree/usr/share/doc/patchbay"
stage "$tree$root"
put_files "$tree" package "$tree$root" "$root" /usr/bin/node
cat >"$tree/usr/share/doc/patchbay/copyright" <<'COPYRIGHT'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: patchbay

Files: *
Copyright: the authors of Patchbay
License: Expat
 The text is in /usr/lib/patchbay/LICENSE. The licences of what is bundled are in /usr/lib/patchbay/dist/THIRD-PARTY-LICENSES.
COPYRIGHT

cat >"$tree/DEBIAN/control" <<CONTROL
Package: patchbay
Version: $version
Section: admin
Priority: optional
Architecture: $arch
Maintainer: the authors of Patchbay <patchbay@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: nodejs (>= 20.19), systemd (>= 252), dbus, passwd, libc6 (>= 2.30), libgcc-s1
Recommends: polkitd (>= 121), nvme-cli, smartmontools, xdg-dbus-proxy, ffmpeg, pipewire-pulse | pulseaudio, wireplumber | pulseaudio,
 libspa-0.2-bluetooth | pulseaudio-module-bluetooth, dbus-user-session, pulseaudio-utils
Suggests: avahi-daemon
Description: plugin-host daemon to watch and control this machine
 Patchbay hosts plugins, each of which tells and does something on a small
 Linux machine: its figures, its drives, its network. Clients speak Socket.IO
 with it; a Telegram Mini App is one.
CONTROL

cat >"$tree/DEBIAN/preinst" <<'PREINST'
#!/bin/sh
set -e
if [ -e /opt/patchbay/current ]; then
  echo 'Patchbay was installed from a checkout. First, there: sudo scripts/uninstall.sh (settings and sessions stay)' >&2
  exit 1
fi
PREINST
cat >"$tree/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
if [ "$1" != configure ]; then exit 0; fi
. /usr/lib/patchbay/service/functions.sh
if [ -d /run/systemd/system ]; then
  configure_machine
  systemctl --quiet enable patchbay.service patchbay-smart.socket
  systemctl restart patchbay-smart.socket
  # That it does not start (a wrong setting) is told, and does not leave the package half installed.
  systemctl restart patchbay.service || echo 'patchbay does not run: sudo journalctl -u patchbay' >&2
  start_sound
  if [ -z "$2" ]; then echo 'A link to log in as the owner: sudo patchbay login'; fi
else
  systemd-sysusers patchbay.conf
  systemd-tmpfiles --create patchbay.conf
  systemctl --quiet enable patchbay.service patchbay-smart.socket
fi
POSTINST
cat >"$tree/DEBIAN/prerm" <<'PRERM'
#!/bin/sh
set -e
# An upgrade stops nothing: postinst restarts it.
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl --quiet disable --now patchbay.service patchbay-smart.socket; fi
if [ "$1" = remove ]; then
  . /usr/lib/patchbay/service/functions.sh
  stop_sound
fi
PRERM
cat >"$tree/DEBIAN/postrm" <<'POSTRM'
#!/bin/sh
set -e
if [ "$1" = purge ] || [ "$1" = remove ]; then rm -rf /etc/systemd/system/patchbay-plugin-dev@.service.d /etc/systemd/system/patchbay-plugin-dev-net@.service.d; fi
if [ "$1" = purge ]; then
  rm -rf /etc/patchbay /var/lib/patchbay /var/backups/patchbay /etc/credstore/patchbay.telegram-bot-token /etc/credstore/patchbay.store-url
  if getent passwd patchbay >/dev/null; then userdel patchbay; fi
  if getent passwd patchbay-sound >/dev/null; then userdel patchbay-sound; fi
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
POSTRM
chmod 755 "$tree/DEBIAN/"{preinst,postinst,prerm,postrm}
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
file=$out/patchbay_${version}_$arch.deb
dpkg-deb --root-owner-group --build -Zxz "$tree" "$file" >/dev/null
echo "$file"
