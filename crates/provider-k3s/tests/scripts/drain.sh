# fleetwright deed: drain {"force":false,"node":"store-17","timeout_s":30}
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
wait='30'
stubborn='kept'
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
# Moves the pods of a node elsewhere, as far as their budgets allow in this time.
turn=$(turn_of "$node" 2>&1) || fail cluster "$(last_of "$turn")"
case $turn in
  '') fail absent "node $node" ;;
  # A drain would cordon it without saying that it was us.
  'open '*) fail open "node $node is not cordoned" ;;
esac
case $stubborn in
  deleted) set -- --force --disable-eviction ;;
  *) set -- ;;
esac
# A drain waits for longer than one request may take.
if said=$("$binary" kubectl --kubeconfig "$kubeconfig" drain "$node" --ignore-daemonsets --delete-emptydir-data \
  --timeout "${wait}s" "$@" 2>&1); then
  say drained yes
  say left 0
else
  say drained no
  # What a drain minds: neither the pods of daemon sets, nor those of the node itself, nor those that have ended.
  # shellcheck disable=SC2016
  left=$(kubectl get pods --all-namespaces --field-selector "spec.nodeName=$node" --output \
    go-template='{{range .items}}{{$counts := true}}{{range .metadata.ownerReferences}}{{if or (eq .kind "DaemonSet") (eq .kind "Node")}}{{$counts = false}}{{end}}{{end}}{{if or (eq .status.phase "Succeeded") (eq .status.phase "Failed")}}{{$counts = false}}{{end}}{{if $counts}}{{.metadata.namespace}}/{{.metadata.name}}{{"\n"}}{{end}}{{end}}' 2>&1) ||
    fail cluster "$(last_of "$left")"
  say left "$(printf '%s\n' "$left" | grep -c . || :)"
  printf '%s\n' "$said" | grep -i -e '^error' -e 'cannot ' | cut -c 1-240 | sort -u | head -n 5 | sed 's/^/fw1 blocked=/' || :
fi
say end ok
