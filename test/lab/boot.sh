#!/usr/bin/env bash
# Boots the lab machine.
# usage: boot.sh [--hardware] [--driven DIRECTORY [--disk FILE | --frozen DIRECTORY]] [PORT ...]
#   PORT           a port inside that becomes a free port of 127.0.0.1 here
#   --hardware     with radios, sound cards and a camera plugged in (guest/hardware.sh)
#   --driven DIR   by a program (machine.ts): the agent's port is file descriptor 3, QEMU's monitor (QMP) 4, the console standard output;
#                  DIR is this run's, DIR/share appears as /host. Without it a root shell in this terminal; Ctrl-A X ends it.
#   --disk FILE    writes to this copy of the image's disk, and has no NVMe drive, which the emulator cannot freeze
#   --frozen DIR   goes on where that one was frozen: with DIR/root.img as its disk and DIR/memory
# Nothing that is written inside outlives the emulator; a reboot it does. Acceleration: PATCHBAY_LAB_ACCEL (tcg; kvm where there is one).
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
work='' append='' disk='' frozen='' nic=user,model=virtio-net-pci,restrict=on
while [ $# -gt 0 ]; do
  case $1 in
    --hardware) append=' lab.hardware' ;;
    --driven) work=$2; shift ;;
    --disk) disk=$2; shift ;;
    --frozen) frozen=$2; shift ;;
    *[!0-9]* | '') sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) nic+=",hostfwd=tcp:127.0.0.1:0-:$1" ;;
  esac
  shift
done
command -v qemu-system-x86_64 >/dev/null || { echo 'lab: qemu-system-x86_64 is missing: apt-get install -y --no-install-recommends qemu-system-x86' >&2; exit 1; }
image=$("$here/build.sh")

if [ -n "$work" ]; then
  terminal=(-chardev socket,id=agent,fd=3 -chardev socket,id=monitor,fd=4 -mon chardev=monitor,mode=control -serial stdio)
  append+=' systemd.getty_auto=0'
else
  work=$(mktemp -d) shell=yes
  trap 'rm -rf "$work"' EXIT
  terminal=(-chardev null,id=agent -serial mon:stdio)
fi
mkdir -p "$work/share/jobs"
cp "$here"/guest/*.sh "$work/share/"
truncate -s 256M "$work/nvme0.img" "$work/nvme1.img"
export TMPDIR=$work # where QEMU keeps what is written to the disk

# The second drive waits for `device_add nvme,id=second,serial=LAB0002,drive=second,bus=bay`.
machine=(qemu-system-x86_64 -machine "q35,sata=off,smbus=off,accel=${PATCHBAY_LAB_ACCEL:-tcg}" -cpu max -smp 2 -m 2048 -nodefaults -display none "${terminal[@]}"
  -kernel "$image/vmlinuz" -initrd "$image/initrd.img"
  -append "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 audit=0 mitigations=off nokaslr no_timer_check net.ifnames=0 modprobe.blacklist=kvm_amd,powernow_k8,iTCO_wdt,pcspkr,i2c_i801$append"
  -drive "file=${disk:-${frozen:-$image}/root.img},format=raw,if=virtio,${disk:+cache=unsafe,}snapshot=$([ -n "$disk" ] && echo off || echo on)"
  -virtfs "local,path=$work/share,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
  -virtfs "local,path=$(dirname "${LAB_NODE:-$(node -p process.execPath)}"),mount_tag=node,security_model=none,readonly=on,multidevs=remap"
  -drive "file=$work/nvme0.img,format=raw,if=none,id=nvme0" -device pcie-root-port,id=bay0,chassis=1
  -blockdev "driver=file,node-name=second,filename=$work/nvme1.img" -device pcie-root-port,id=bay,chassis=2
  -device virtio-serial-pci -device virtserialport,chardev=agent,name=lab
  -device virtio-rng-pci -nic "$nic")
if [ -n "$frozen" ]; then machine+=(-incoming "exec:cat '$frozen/memory'"); fi
if [ -z "$disk$frozen" ]; then machine+=(-device nvme,serial=LAB0001,drive=nvme0); fi
if [ -n "${shell:-}" ]; then "${machine[@]}"; else exec "${machine[@]}" </dev/null; fi
