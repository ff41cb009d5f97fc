# fleetwright deed: rotate-token {}
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
token='/var/lib/rancher/k3s/server/token'
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
# Lets K3s make a new token to join with. It reads the old one from its own file, so neither is ever an argument.
before=$(digest_of "$token")
problem=$("$binary" token rotate 2>&1) || fail cluster "$(last_of "$problem")"
if [ "$(digest_of "$token")" = "$before" ]; then fail cluster 'K3s reports success, and the token is the old one'; fi
say changed yes
say end ok
