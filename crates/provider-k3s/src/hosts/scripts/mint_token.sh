# Makes a token of our own account, which goes from the cluster to us and is never an argument.
exec 3>&1
printf 'fw1 token='
problem=$(kubectl --namespace kube-system create token fleetwright --duration "${seconds}s" 2>&1 >&3) || {
  echo
  fail cluster "$(last_of "$problem")"
}
