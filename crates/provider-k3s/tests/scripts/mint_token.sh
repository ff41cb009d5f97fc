# fleetwright deed: mint-token {"seconds":3600}
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
seconds='3600'
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
# Makes a token of our own account, which goes from the cluster to us and is never an argument.
exec 3>&1
printf 'fw1 token='
problem=$(kubectl --namespace kube-system create token fleetwright --duration "${seconds}s" 2>&1 >&3) || {
  echo
  fail cluster "$(last_of "$problem")"
}
say end ok
