# fleetwright deed: read-cluster {}
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
token='/var/lib/rancher/k3s/server/token'
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
# What the cluster says of itself, asked on one of its servers; changes nothing.
if kubectl get --raw /readyz >/dev/null 2>&1; then
  say ready yes
  # shellcheck disable=SC2016
  template='{{range .items}}{{$ready := false}}{{$since := ""}}{{$etcd := "none"}}{{range .status.conditions}}{{if eq .type "Ready"}}{{if eq .status "True"}}{{$ready = true}}{{else}}{{$since = .lastTransitionTime}}{{end}}{{end}}{{if eq .type "EtcdIsVoter"}}{{if eq .status "True"}}{{$etcd = "voter"}}{{else if eq .reason "MemberIsLearner"}}{{$etcd = "learner"}}{{end}}{{end}}{{end}}{{$address := ""}}{{range .status.addresses}}{{if and (eq .type "InternalIP") (eq $address "")}}{{$address = .address}}{{end}}{{end}}fw1 node={"name":{{printf "%q" .metadata.name}},"uid":{{printf "%q" .metadata.uid}},"version":{{printf "%q" .status.nodeInfo.kubeletVersion}},"ready":{{$ready}},"unready_since":{{printf "%q" $since}},"unschedulable":{{if .spec.unschedulable}}true{{else}}false{{end}},"address":{{printf "%q" $address}},"etcd":{{printf "%q" $etcd}},"roles":[{{$comma := ""}}{{range $name, $value := .metadata.labels}}{{if eq $name "node-role.kubernetes.io/control-plane"}}{{$comma}}"control-plane"{{$comma = ","}}{{end}}{{if eq $name "node-role.kubernetes.io/etcd"}}{{$comma}}"etcd"{{$comma = ","}}{{end}}{{end}}],"in_turn":{{with .metadata.annotations}}{{with index . "fleetwright.dev/in-turn"}}{{printf "%q" .}}{{else}}null{{end}}{{else}}null{{end}}}{{"\n"}}{{end}}'
  kubectl get nodes --output go-template="$template" || fail absent 'the list of nodes'
else
  say ready no
fi
authority=/var/lib/rancher/k3s/server/tls/server-ca.crt
if [ -s "$authority" ]; then
  say ca "$(base64 <"$authority" | tr -d '\n')"
fi
if [ -s "$token" ]; then
  # Its own awk: a line without an end gets one.
  say token "$(awk '{ print; exit }' "$token" | sha256sum | cut -d ' ' -f 1)"
fi
"$binary" secrets-encrypt status 2>/dev/null | awk -F ': *' '
  $1 == "Encryption Status" { sub(/[, ].*/, "", $2); print "fw1 encryption=" tolower($2) }
  $1 == "Current Rotation Stage" { print "fw1 encryption_stage=" $2 }' || :
say end ok
