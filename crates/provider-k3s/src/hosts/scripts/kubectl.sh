# The cluster is asked as its administrator, by the binary of this server.
if [ ! -s "$kubeconfig" ]; then fail absent "$kubeconfig"; fi
kubectl() { "$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout 20s "$@"; }
# Prints nothing for a node that is not there, else `open` or `cordoned`, and why we cordoned it.
turn_of() {
  kubectl get node "$1" --ignore-not-found --output \
    go-template='{{if .spec.unschedulable}}cordoned{{else}}open{{end}} {{with .metadata.annotations}}{{with index . "fleetwright.dev/in-turn"}}{{.}}{{end}}{{end}}'
}
