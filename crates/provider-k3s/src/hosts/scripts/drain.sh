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
