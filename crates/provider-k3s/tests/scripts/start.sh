# fleetwright deed: service {"action":"start","role":"server"}
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
action='start'
unit='k3s.service'
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
# Asks the service manager; does not wait for K3s, the next look tells how far it is.
try() {
  problem=$("$@" 2>&1) || fail service "$(printf %s "$problem" | tail -n 1)"
}
case $action in
  enable) try systemctl enable --quiet "$unit" ;;
  start)
    try systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null || :
    try systemctl start --no-block "$unit"
    ;;
  restart)
    try systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null || :
    try systemctl restart --no-block "$unit"
    ;;
  stop)
    if [ "$(systemctl show "$unit" -p LoadState 2>/dev/null)" != LoadState=not-found ]; then
      try systemctl stop "$unit"
    fi
    ;;
  *) fail bug "$action" ;;
esac
say changed yes
say end ok
