# Removes a node from the cluster. K3s then removes its member of etcd and the password that it joined with, before it is gone.
said=$("$binary" kubectl --kubeconfig "$kubeconfig" delete node "$node" --ignore-not-found --timeout 90s 2>&1) ||
  fail cluster "$(last_of "$said")"
case $said in
  *deleted*) say changed yes ;;
  *) say changed no ;;
esac
