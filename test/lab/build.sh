#!/usr/bin/env bash
# Builds the image of the lab machine: a Debian disk, its kernel and a small initrd; prints the directory in which they lie.
# Done once: the directory is named by the hash of this file and of packages.txt. Needs root, debootstrap, e2fsprogs and a network.
set -euo pipefail
suite=trixie
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cache=${PATCHBAY_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/patchbay-lab}
image=$cache/$(cat "$here/build.sh" "$here/packages.txt" | sha256sum | cut -c1-16)

if [ -e "$image" ]; then echo "$image"; exit; fi
say() { echo "lab: $*" >&2; }
die() { say "$*"; exit 1; }
[ "$(id -u)" -eq 0 ] || die 'building the image of the lab machine needs root (debootstrap and chroot): sudo test/lab/build.sh'
[ "$(uname -m)" = x86_64 ] || die "the lab machine is an x86_64, this is $(uname -m)"
for program in debootstrap mkfs.ext4 unshare flock; do
  command -v "$program" >/dev/null || die "$program is missing: apt-get install -y --no-install-recommends debootstrap e2fsprogs qemu-system-x86"
done

# Mounts live in a namespace of this script's own, so that nothing is left mounted, however it ends.
if [ "${LAB_NAMESPACE:-}" != yes ]; then
  mkdir -p "$cache"
  LAB_NAMESPACE=yes exec unshare --mount --propagation private flock "$image.lock" "$here/build.sh"
fi
rm -rf --one-file-system "$image.partial" # whoever built it is gone: the lock is ours
work=$image.partial root=$image.partial/root
mkdir -p "$root"

# Debian's mirrors as this machine has them.
sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || die "$sources is missing: it names the mirrors to install from"
mirror=$(awk '/^URIs:/ { print $2; exit }' "$sources")
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

build() {
  say "Debian $suite, into $image (some minutes)"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror"
  rm -f "$root/etc/apt/sources.list"
  sed "s/\b$codename\b/$suite/g" "$sources" >"$root/etc/apt/sources.list.d/debian.sources"
  cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
  cp /usr/share/keyrings/debian-archive-keyring.gpg "$root/usr/share/keyrings/"
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
    'path-exclude=/usr/share/locale/*' \
    >"$root/etc/dpkg/dpkg.cfg.d/lab"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # start no service while installing
  chmod +x "$root/usr/sbin/policy-rc.d"
  for filesystem in proc sys dev; do mount --rbind "/$filesystem" "$root/$filesystem"; done

  # What the root disk needs and no more: unpacking an initrd with every driver takes seconds under emulation.
  mkdir -p "$root/etc/initramfs-tools/conf.d"
  printf 'MODULES=list\nCOMPRESS=lz4\nFSTYPE=ext4\n' >"$root/etc/initramfs-tools/conf.d/lab"
  printf '%s\n' virtio_pci virtio_blk ext4 >"$root/etc/initramfs-tools/modules"
  # shellcheck disable=SC2046
  DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" sh -ec 'apt-get -qq update; apt-get -qq install -y --no-install-recommends "$@"; apt-get clean' \
    lab $(sed 's/#.*//' "$here/packages.txt")
  rm -r "$root/usr/sbin/policy-rc.d" "$root/var/lib/apt/lists"

  echo lab >"$root/etc/hostname"
  printf '127.0.0.1 localhost lab\n::1 localhost\n' >"$root/etc/hosts"
  : >"$root/etc/resolv.conf"
  mkdir -p "$root/host" "$root/opt/node"
  cat >"$root/etc/fstab" <<'FSTAB'
/dev/vda / ext4 defaults,noatime 0 1
host /host 9p trans=virtio,version=9p2000.L,msize=524288,ro,cache=none 0 0
node /opt/node 9p trans=virtio,version=9p2000.L,msize=524288,ro,cache=loose 0 0
FSTAB
  ln -s /opt/node/node "$root/usr/bin/node"
  # Its link to the outside is not NetworkManager's business, so that no test cuts it.
  printf '[main]\nplugins=keyfile\n[keyfile]\nunmanaged-devices=interface-name:eth0\n' >"$root/etc/NetworkManager/conf.d/lab.conf"
  mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d" "$root/etc/systemd/journald.conf.d"
  printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM\n' \
    >"$root/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf"
  cat >"$root/etc/systemd/system/lab-agent.service" <<'UNIT'
[Unit]
Description=Runs what a test on the outside asks for
RequiresMountsFor=/host
[Service]
ExecStart=/bin/bash /host/agent.sh
ExecStop=/bin/bash /host/agent.sh finish
TimeoutStopSec=7
OOMScoreAdjust=-900
[Install]
WantedBy=multi-user.target
UNIT
  cat >"$root/etc/systemd/system/lab-hardware.service" <<'UNIT'
[Unit]
Description=Plugs the hardware in, before anybody looks for it
ConditionKernelCommandLine=lab.hardware
RequiresMountsFor=/host
After=systemd-udevd.service
Before=NetworkManager.service bluetooth.service
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStopSec=3
ExecStart=/bin/bash /host/hardware.sh
[Install]
WantedBy=multi-user.target
UNIT
  chroot "$root" systemctl -q enable lab-agent.service lab-hardware.service
  chroot "$root" systemctl -q disable avahi-daemon.service avahi-daemon.socket apt-daily.timer apt-daily-upgrade.timer
  chroot "$root" systemctl -q mask getty@tty1.service NetworkManager-wait-online.service e2scrub_reap.service nvmf-autoconnect.service
  touch "$root/etc/.updated" "$root/var/.updated" # else the first boot of every machine updates what is up to date
  umount -R "$root/dev" "$root/sys" "$root/proc"

  cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
  cp "$root"/boot/initrd.img-* "$work/initrd.img"
  truncate -s 6G "$work/root.img"
  mkfs.ext4 -q -F -E lazy_itable_init=0 -d "$root" "$work/root.img"
  rm -rf --one-file-system "$root"
  rm -f "$work/build.log"
}

# Another one may have built it while this one waited.
if [ ! -e "$image" ]; then
  build >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; die "the image could not be built; all of it: $work/build.log"; }
  mv "$work" "$image"
fi
rm -rf --one-file-system "$work"
echo "$image"
