#!/bin/dash
# A stand-in for K3s's binary: as much as our scripts see of the real one. VERSION is replaced by the test.
set -eu
data=/var/lib/rancher/k3s
case ${1:-} in
  --version)
    echo 'k3s version VERSION (0123abcd)'
    echo 'go version go1.24.0'
    ;;
  server)
    umask 077
    mkdir -p $data/server/db/etcd $data/server/db/snapshots $data/agent $data/data/current/bin
    token=$(cat "$(sed -n 's/^token-file: //p' /etc/rancher/k3s/config.yaml)")
    printf 'K100123::server:%s\n' "$token" >$data/server/token
    printf 'apiVersion: v1\nkind: Config\nclusters: [{cluster: {server: "https://127.0.0.1:6443"}}]\n' >/etc/rancher/k3s/k3s.yaml
    # What goes on when K3s stops: a shim with a container below it.
    if [ ! -f $data/data/current/bin/containerd-shim ]; then
      cp /bin/dash $data/data/current/bin/containerd-shim
      setsid $data/data/current/bin/containerd-shim -c 'sleep 31415 & wait' </dev/null >/dev/null 2>&1 &
    fi
    touch "$NOTIFY"
    exec sleep 27182
    ;;
  etcd-snapshot)
    echo 'level=info msg="Snapshot saved"' >&2
    touch "$data/server/db/snapshots/$4-store-17-1800000000"
    ;;
  *) exit 2 ;;
esac
exit 0
