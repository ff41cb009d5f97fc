# The administrator's way to the cluster's API, as K3s wrote it.
if [ ! -s "$kubeconfig" ]; then fail absent "$kubeconfig"; fi
printf 'fw1 kubeconfig='
base64 <"$kubeconfig" | tr -d '\n'
echo
