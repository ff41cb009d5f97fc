#!/bin/sh
# Usage: nspawn.sh up FOLDER RUN KEY NAME=ADDRESS… | nspawn.sh down RUN. Hosts with a real systemd and a real sshd, as nspawn machines
# on one bridge of this machine. FOLDER keeps what is fetched once: nspawn and debootstrap as Debian's own packages, downloaded and
# not installed, and a Debian tree. RUN holds the layers of this run and, when all are up, the file `hosts`: a line each with name,
# address and host key. KEY is the public key that root lets in. Needs root, iproute2 and OpenSSH's tools.
set -eu
verb=$1
bridge=fwk3s
network=10.213.17
say() { echo "nspawn: $*" >&2; }

programs() {
  if [ -x "$folder/programs/usr/bin/systemd-nspawn" ]; then return; fi
  say "getting systemd-nspawn and debootstrap"
  rm -rf "$folder/programs" "$folder/debs"
  mkdir -p "$folder/debs"
  (cd "$folder/debs" && apt-get -qq update && apt-get -qq download debootstrap systemd-container libsystemd-shared)
  mkdir "$folder/programs.new"
  for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/programs.new"; done
  mv "$folder/programs.new" "$folder/programs"
  rm -rf "$folder/debs"
}

tree() {
  if [ -d "$folder/tree" ]; then return; fi
  say "making a Debian tree; this takes some minutes, once"
  rm -rf "$folder/tree.new"
  DEBOOTSTRAP_DIR=$folder/programs/usr/share/debootstrap sh "$folder/programs/usr/sbin/debootstrap" --variant=minbase \
    --include=systemd,systemd-sysv,openssh-server,python3-minimal,libpython3-stdlib,iproute2,kmod,procps \
    bookworm "$folder/tree.new" http://deb.debian.org/debian >"$folder/debootstrap.log" 2>&1 ||
    { tail -n 3 "$folder/debootstrap.log" >&2 && exit 1; }
  mv "$folder/tree.new" "$folder/tree"
}

machine() {
  name=$1 address=$2
  root=$run/$name
  mkdir -p "$run/layers/$name/upper" "$run/layers/$name/work" "$root"
  mount -t overlay overlay -o "lowerdir=$folder/tree,upperdir=$run/layers/$name/upper,workdir=$run/layers/$name/work" "$root"
  echo "$name" >"$root/etc/hostname"
  printf '127.0.0.1 localhost %s\n' "$name" >"$root/etc/hosts"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  mkdir -p "$root/root/.ssh"
  cp "$key" "$root/root/.ssh/authorized_keys"
  chmod -R go= "$root/root/.ssh"
  rm -f "$root"/etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/ssh_host_ed25519_key"
  # Nobody here needs them, and on a machine like ours some cannot start.
  for unit in systemd-networkd systemd-resolved systemd-timesyncd e2scrub_reap apt-daily.timer apt-daily-upgrade.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
  done
  ip netns add "$bridge-$name"
  ip link add "fw$name" type veth peer name eth0 netns "$bridge-$name"
  ip link set "fw$name" master "$bridge" up
  ip -n "$bridge-$name" link set lo up
  ip -n "$bridge-$name" address add "$address/24" dev eth0
  ip -n "$bridge-$name" link set eth0 up
  ip -n "$bridge-$name" route add default via "$network.1"
  # It ends with 133 when the machine wants to be booted again.
  # shellcheck disable=SC2016
  LD_LIBRARY_PATH=$folder/programs/usr/lib/x86_64-linux-gnu/systemd SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes setsid \
    sh -c 'status=133; while [ "$status" = 133 ]; do status=0; "$@" || status=$?; done' sh \
    "$folder/programs/usr/bin/systemd-nspawn" --register=no --keep-unit -q --machine="$name" \
    --network-namespace-path="/run/netns/$bridge-$name" --capability=all --system-call-filter='@keyring bpf' \
    -D "$root" -b </dev/null >"$run/$name.log" 2>&1 &
  echo "$!" >"$run/$name.pid"
}

child() { cut -d ' ' -f 1 "/proc/$1/task/$1/children" 2>/dev/null || :; }
# The first process of a machine is the child of its nspawn, which is the child of its loop. A signal asks a systemd to power off
# (systemd(1)).
leader() {
  nspawn=$(child "$1")
  if [ -n "$nspawn" ]; then child "$nspawn"; fi
}

down() {
  for file in "$run"/*.pid; do
    [ -f "$file" ] || continue
    inner=$(leader "$(cat "$file")")
    if [ -n "$inner" ]; then kill -s RTMIN+4 "$inner" 2>/dev/null || :; fi
  done
  for file in "$run"/*.pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file") name=$(basename "$file" .pid) tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.2 && tries=$((tries + 1)); done
    if kill -0 "$pid" 2>/dev/null; then
      nspawn=$(child "$pid")
      inner=$(leader "$pid")
      kill -KILL "$pid" ${nspawn:+"$nspawn"} ${inner:+"$inner"} 2>/dev/null || :
      sleep 1
    fi
    umount -l "$run/$name" 2>/dev/null || :
    ip netns delete "$bridge-$name" 2>/dev/null || :
    ip link delete "fw$name" 2>/dev/null || :
    rm -f "$file"
  done
  ip link delete "$bridge" 2>/dev/null || :
  rm -rf "$run/layers"
}

case $verb in
  up)
    folder=$2 run=$3 key=$4
    shift 4
    mkdir -p "$folder" "$run"
    programs
    tree
    ip link add "$bridge" type bridge
    ip address add "$network.1/24" dev "$bridge"
    ip link set "$bridge" up
    for pair in "$@"; do machine "${pair%%=*}" "${pair#*=}"; done
    for pair in "$@"; do
      tries=0
      until ssh-keyscan -T 2 "${pair#*=}" >/dev/null 2>&1 && [ -f "$run/${pair%%=*}.pid" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ]; then say "${pair%%=*} does not come up; see $run/${pair%%=*}.log" && exit 1; fi
        sleep 0.5
      done
      printf '%s %s %s\n' "${pair%%=*}" "${pair#*=}" "$(cut -d ' ' -f 1,2 "$run/${pair%%=*}/etc/ssh/ssh_host_ed25519_key.pub")"
    done >"$run/hosts"
    ;;
  down)
    run=$2
    down
    ;;
  *) exit 2 ;;
esac
