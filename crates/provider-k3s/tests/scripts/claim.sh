# fleetwright deed: change-marker {"now":"fleetwright 1\nhub ab12\nobject edge/store-17\nuid 7-a","was":null}
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
was=''
now='fleetwright 1
hub ab12
object edge/store-17
uid 7-a'
# Changes whose the host is, only while it still is whose it was when we looked.
current=
if [ -f "$marker" ]; then current=$(cat "$marker"); fi
if [ "$current" = "$now" ]; then
  say changed no
elif [ "$current" != "$was" ]; then
  fail not-ours "$(printf %s "$current" | head -n 4 | tr '\n' ' ')"
else
  (umask 022 && mkdir -p "${marker%/*}")
  new=$marker.new.$$
  printf '%s\n' "$now" >"$new" || fail write "$new"
  chmod 644 "$new"
  sync "$new" 2>/dev/null || sync
  if [ -z "$was" ]; then
    # A link is made or refused in one go, so of two hubs one wins.
    ln "$new" "$marker" 2>/dev/null || { rm -f "$new" && fail not-ours 'somebody else was faster'; }
    rm -f "$new"
  else
    mv -f "$new" "$marker"
  fi
  say changed yes
fi
say end ok
