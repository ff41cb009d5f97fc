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
