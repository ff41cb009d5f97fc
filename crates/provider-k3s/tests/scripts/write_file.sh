# fleetwright deed: write-file {"digest":"868bde223eae624bd9c92dd4022d7e9ac1fa90755dfa13596dc9ce0c465bbc4b","mode":"600","path":"/etc/rancher/k3s/config.yaml"}
set -eu
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
say() { printf 'fw1 %s=%s\n' "$1" "$2"; }
fail() {
  say error "$1 $2"
  exit 3
}
# Whatever a login shell printed before ends with this line.
echo
say begin ok
digest_of() { sha256sum <"$1" | cut -d ' ' -f 1; }
last_of() { printf '%s\n' "$1" | grep . | tail -n 1 || :; }
marker='/etc/fleetwright/owner'
file='/etc/rancher/k3s/config.yaml'
digest='868bde223eae624bd9c92dd4022d7e9ac1fa90755dfa13596dc9ce0c465bbc4b'
mode='600'
ours='fleetwright 1
hub ab12
object edge/store-17
uid 7-a'
# Only on a host whose marker names us, looked at now and not when we planned.
if [ ! -f "$marker" ]; then
  fail not-ours 'the host carries no marker'
elif [ "$(cat "$marker")" != "$ours" ]; then
  fail not-ours "$(head -n 4 "$marker" | tr '\n' ' ')"
fi
# Of K3s's data only the outermost folder is for everybody, as K3s itself makes them.
own_folder() {
  (umask 022 && case $1 in
    /var/lib/rancher/k3s/*) mkdir -p /var/lib/rancher/k3s ;;
    *) mkdir -p "${1%/*}" ;;
  esac)
  mkdir -p "${1%/*}"
}
# Puts one whole file in place or leaves the old one. Reads the content from standard input.
changed=no
if [ ! -f "$file" ] || [ "$(digest_of "$file")" != "$digest" ]; then
  own_folder "$file"
  new=$file.fleetwright-new
  # A new file each time: a run that was cut off may still hold the old one open.
  rm -f "$new"
  cat >"$new" || { rm -f "$new" && fail write "$file"; }
  if [ "$(digest_of "$new")" != "$digest" ]; then
    rm -f "$new"
    fail cut "$file did not arrive whole"
  fi
  chmod "$mode" "$new"
  chown 0:0 "$new"
  sync "$new" 2>/dev/null || sync
  mv -f "$new" "$file"
  sync "${file%/*}" 2>/dev/null || sync
  changed=yes
else
  cat >/dev/null
  if [ "$(stat -c '%a %u:%g' "$file")" != "$mode 0:0" ]; then
    chmod "$mode" "$file"
    chown 0:0 "$file"
    changed=yes
  fi
fi
say changed "$changed"
say end ok
