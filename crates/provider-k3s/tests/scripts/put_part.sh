# fleetwright deed: put-part {"artifact":"binary","digest":"86bd33ebf64e01aaafb7dab419436ac025d04abd933bbbb124ddb25c30b59dd7","length":1000,"offset":4096,"whole":9000}
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
target='/usr/local/bin/k3s'
digest='86bd33ebf64e01aaafb7dab419436ac025d04abd933bbbb124ddb25c30b59dd7'
offset='4096'
length='1000'
whole='9000'
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
# Adds to a file that is on its way. Reads this part of it from standard input. When all has arrived it is checked and set aside.
ready=${target%/*}/.k3s-$digest.whole
part=${target%/*}/.k3s-$digest.part
if [ -f "$ready" ]; then
  cat >/dev/null
  say changed no
else
  own_folder "$target"
  for old in "${target%/*}"/.k3s-*.part "${target%/*}"/.k3s-*.whole; do
    if [ "$old" != "$part" ]; then rm -f "$old"; fi
  done
  have=0
  if [ -f "$part" ]; then have=$(($(wc -c <"$part"))); fi
  if [ "$have" -lt "$offset" ]; then
    cat >/dev/null
    fail gap "$have bytes are there, the part begins at $offset"
  fi
  # Without conv=notrunc dd cuts the file off where it would begin to write.
  if [ "$have" -gt "$offset" ]; then dd if=/dev/null of="$part" bs=1 seek="$offset" 2>/dev/null; fi
  cat >>"$part" || fail write "$part"
  have=$(($(wc -c <"$part")))
  if [ "$have" -ne "$((offset + length))" ]; then fail cut "$have bytes are there"; fi
  if [ "$have" -ge "$whole" ]; then
    if [ "$(digest_of "$part")" != "$digest" ]; then
      rm -f "$part"
      fail digest 'what arrived is not what was sent; it is removed'
    fi
    sync "$part" 2>/dev/null || sync
    mv -f "$part" "$ready"
  fi
  say changed yes
fi
say end ok
