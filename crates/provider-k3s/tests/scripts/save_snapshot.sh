# fleetwright deed: save-snapshot {"name":"before-v1-35"}
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
binary='/usr/local/bin/k3s'
name='before-v1-35'
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
# Saves the datastore under a name, once.
saved() {
  for snapshot in /var/lib/rancher/k3s/server/db/snapshots/"$name"-*; do
    if [ -e "$snapshot" ]; then say snapshot "$snapshot" && return 0; fi
  done
  return 1
}
if saved; then
  say changed no
else
  problem=$("$binary" etcd-snapshot save --name "$name" 2>&1) ||
    fail snapshot "$(printf %s "$problem" | tail -n 1)"
  saved || fail snapshot 'K3s reports success, and there is no file'
  say changed yes
fi
say end ok
