# Read by install.sh, uninstall.sh, package-deb.sh and the Debian package's own scripts: what is put where.

opt=/opt/patchbay config=/etc/patchbay state=/var/lib/patchbay backups=/var/backups/patchbay credential=/etc/credstore/patchbay.telegram-bot-token store_url=/etc/credstore/patchbay.store-url
# What this machine's groups make of the templates for plugins with devices.
plugin_groups='/etc/systemd/system/patchbay-plugin-dev@.service.d/groups.conf /etc/systemd/system/patchbay-plugin-dev-net@.service.d/groups.conf'
# The user in whose session sound lives, and its home.
sound_user=patchbay-sound sound_home=/var/lib/patchbay-sound

# service_files local|package: what belongs outside the package's own directory, a line each: source, place, mode.
service_files() {
  local lib=/usr/lib bin=/usr/bin polkit=/usr/share/polkit-1/rules.d
  if [ "$1" = local ]; then lib=/etc bin=/usr/local/bin polkit=/etc/polkit-1/rules.d; fi
  cat <<LIST
patchbay.service $lib/systemd/system/patchbay.service 644
patchbay-smart.socket $lib/systemd/system/patchbay-smart.socket 644
patchbay-smart@.service $lib/systemd/system/patchbay-smart@.service 644
patchbay-plugin@.service $lib/systemd/system/patchbay-plugin@.service 644
patchbay-plugin@.service $lib/systemd/system/patchbay-plugin-net@.service 644
patchbay-plugin@.service $lib/systemd/system/patchbay-plugin-dev@.service 644
patchbay-plugin@.service $lib/systemd/system/patchbay-plugin-dev-net@.service 644
polkit.rules $polkit/50-patchbay.rules 644
sysusers.conf $lib/sysusers.d/patchbay.conf 644
tmpfiles.conf $lib/tmpfiles.d/patchbay.conf 644
patchbay $bin/patchbay 755
LIST
}

# stage DIR: copies the built package of this checkout there, as it is installed.
stage() {
  local name
  mkdir -p "$1/config" "$1/node_modules"
  cp -R dist package.json README.md CHANGELOG.md LICENSE "$1/"
  cp -R config/schemas config/examples "$1/config/"
  cp -R scripts/service "$1/service"
  # What is not in the bundle. Of the database's machine code that for this machine; Kysely is there for its types alone.
  for name in $(node -p 'const { dependencies, optionalDependencies } = require("./package.json"); Object.keys({ ...dependencies, ...optionalDependencies }).join(" ")'); do
    if [ "$name" = kysely ] || [ ! -e "node_modules/$name" ]; then continue; fi
    mkdir -p "$(dirname "$1/node_modules/$name")"
    cp -RL "node_modules/$name" "$1/node_modules/$name"
  done
  # The daemon refuses plugins that others may write.
  chmod -R u=rwX,go=rX "$1"
}

# put_files PREFIX local|package SOURCE ROOT NODE: puts the files of SOURCE/service in place below PREFIX, for a package in ROOT.
put_files() {
  local source place mode net dev
  service_files "$2" | while read -r source place mode; do
    mkdir -p "$1$(dirname "$place")"
    # Which of the four templates for plugins it is: what is not for it is left out.
    case $place in *-net@*) net=nonet ;; *) net=net ;; esac
    case $place in *-dev*@*) dev=nodev ;; *) dev=dev ;; esac
    sed -e "/^@$net@/d" -e "/^@$dev@/d" -e 's/^@[a-z]*@//' -e "s|@ROOT@|$4|g" -e "s|@NODE@|$5|g" "$3/service/$source" >"$1$place.new"
    chmod "$mode" "$1$place.new"
    mv "$1$place.new" "$1$place"
  done
}

# Lets the machine know of files that were put in place: user, directories, groups, units.
configure_machine() {
  local group groups='' place
  systemd-sysusers patchbay.conf
  # What opens cameras, sound, graphics, Bluetooth and GPIO, as far as this machine has such groups.
  for group in video render audio bluetooth gpio; do
    if getent group "$group" >/dev/null; then groups=$groups,$group; fi
  done
  if [ -n "$groups" ]; then usermod --append --groups "${groups#,}" patchbay; fi
  # A unit that names a group which is not there does not start.
  for place in $plugin_groups; do
    mkdir -p "${place%/*}"
    printf '[Service]\nSupplementaryGroups=%s\n' "$(printf '%s' "${groups#,}" | sed 's/,*bluetooth//; s/,/ /g')" >"$place"
  done
  systemd-tmpfiles --create patchbay.conf
  if [ ! -e /etc/credstore ]; then mkdir -m 700 /etc/credstore; fi
  systemctl daemon-reload
}

# start_sound: after the service, with which it would compete on a small machine. From then on the session of that user runs from boot on,
# with nobody logged in. Without logind there is none, and so no sound.
start_sound() {
  local group
  for group in audio bluetooth; do
    if getent group "$group" >/dev/null; then usermod --append --groups "$group" "$sound_user"; fi
  done
  loginctl enable-linger "$sound_user" 2>/dev/null || true
}

# stop_sound: what start_sound began, and what is left of it.
stop_sound() {
  local uid
  if uid=$(id -u "$sound_user" 2>/dev/null); then
    loginctl disable-linger "$sound_user" 2>/dev/null || true
    systemctl --quiet stop "user@$uid.service" 2>/dev/null || true
  fi
  rm -rf /run/patchbay-sound "$sound_home"
}

# Starts the release that is in place. Fails if it does not tell systemd within 30 s that it is ready, or does not stay so.
healthy() {
  systemctl reset-failed patchbay.service 2>/dev/null || true
  # The daemon that runs now has 10 s to stop. The lab's machine is slower than any this is for.
  timeout "${PATCHBAY_READY_WITHIN:-40}" systemctl restart patchbay.service || return
  sleep 2
  systemctl --quiet is-active patchbay.service && [ "$(systemctl show -P NRestarts patchbay.service)" -eq 0 ]
}
