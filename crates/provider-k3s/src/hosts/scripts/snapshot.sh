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
