# fleetwright deed: place {"artifact":"images.tar.zst","digest":"86bd33ebf64e01aaafb7dab419436ac025d04abd933bbbb124ddb25c30b59dd7"}
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
target='/var/lib/rancher/k3s/agent/images/fleetwright-airgap-images.tar.zst'
digest='86bd33ebf64e01aaafb7dab419436ac025d04abd933bbbb124ddb25c30b59dd7'
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
# Puts a file in place that has arrived.
ready=${target%/*}/.k3s-$digest.whole
changed=no
if [ ! -f "$target" ] || [ "$(digest_of "$target")" != "$digest" ]; then
  if [ ! -f "$ready" ]; then fail gap 'it has not arrived'; fi
  chown 0:0 "$ready"
  chmod "$mode" "$ready"
  sync "$ready" 2>/dev/null || sync
  mv -f "$ready" "$target"
  changed=yes
else
  rm -f "$ready"
fi
if [ "$target" = "$binary" ]; then
  for name in kubectl crictl ctr; do
    if ! command -v "$name" >/dev/null 2>&1; then ln -s "$binary" "${binary%/*}/$name"; fi
  done
else
  for other in "${target%/*}"/fleetwright-airgap-images.*; do
    if [ "$other" != "$target" ]; then rm -f "$other"; fi
  done
  # So that a look need not read hundreds of megabytes again, as long as nobody touches them.
  printf '%s %s\n' "$digest" "$(stat -c '%i %s %Z' "$target")" >"${target%/*}/.fleetwright-noted"
fi
sync "${target%/*}" 2>/dev/null || sync
say changed "$changed"
say end ok
