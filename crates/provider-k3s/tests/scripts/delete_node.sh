# fleetwright deed: delete-node {"node":"store-17"}
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
kubeconfig='/etc/rancher/k3s/k3s.yaml'
node='store-17'
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
# The cluster is asked as its administrator, by the binary of this server.
if [ ! -s "$kubeconfig" ]; then fail absent "$kubeconfig"; fi
kubectl() { "$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout 20s "$@"; }
# Prints nothing for a node that is not there, else `open` or `cordoned`, and why we cordoned it.
turn_of() {
  kubectl get node "$1" --ignore-not-found --output \
    go-template='{{if .spec.unschedulable}}cordoned{{else}}open{{end}} {{with .metadata.annotations}}{{with index . "fleetwright.dev/in-turn"}}{{.}}{{end}}{{end}}'
}
# Removes a node from the cluster. K3s then removes its member of etcd and the password that it joined with, before it is gone.
said=$("$binary" kubectl --kubeconfig "$kubeconfig" delete node "$node" --ignore-not-found --timeout 90s 2>&1) ||
  fail cluster "$(last_of "$said")"
case $said in
  *deleted*) say changed yes ;;
  *) say changed no ;;
esac
say end ok
