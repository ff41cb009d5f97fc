# fleetwright deed: run-install-script {"digest":"63ec87d6341b0017e87bd229f56b8538331c9166cbd7da412a39a2b200115317","role":"agent","version":"v1.34.2+k3s1"}
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
role='agent'
version='v1.34.2+k3s1'
digest='63ec87d6341b0017e87bd229f56b8538331c9166cbd7da412a39a2b200115317'
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
# Runs K3s's own install script: it fetches the binary and writes a unit, and neither enables nor starts anything.
folder=/run/fleetwright
mkdir -p "$folder"
script=$folder/install.sh
cat >"$script" || { rm -f "$script" && fail write "$script"; }
if [ "$(digest_of "$script")" != "$digest" ]; then
  rm -f "$script"
  fail cut 'the install script did not arrive whole'
fi
INSTALL_K3S_VERSION=$version INSTALL_K3S_EXEC=$role INSTALL_K3S_SKIP_ENABLE=true INSTALL_K3S_SKIP_START=true
export INSTALL_K3S_VERSION INSTALL_K3S_EXEC INSTALL_K3S_SKIP_ENABLE INSTALL_K3S_SKIP_START
# Not for people on the host: it would point at another version than ours.
problem=$(sh "$script" 2>&1 </dev/null) || {
  rm -f "$script"
  fail script "$(last_of "$problem")"
}
rm -f "$script"
say changed yes
say end ok
