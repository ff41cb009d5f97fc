# Takes K3s and all its data away; the marker goes last, so that a run that was cut off can be repeated.
for unit in k3s k3s-agent; do
  if [ "$(systemctl show "$unit" -p LoadState 2>/dev/null)" != LoadState=not-found ]; then
    problem=$(systemctl stop "$unit" 2>&1) || fail service "$(printf %s "$problem" | tail -n 1)"
    systemctl disable --quiet "$unit" 2>/dev/null || :
  fi
done
# Either folder may be a link to a bigger disk, and the kernel names what it leads to.
data=$(readlink -f /var/lib/rancher/k3s || echo /var/lib/rancher/k3s)
kubelet=$(readlink -f /var/lib/kubelet || echo /var/lib/kubelet)
# K3s leaves its containers running when it stops: its shims, then what they started.
below() {
  for child in "$@"; do
    printf '%s\n' "$child"
    # shellcheck disable=SC2046
    below $(cat "/proc/$child/task/"*/children 2>/dev/null || :)
  done
}
for exe in /proc/[0-9]*/exe; do
  case $(readlink "$exe" 2>/dev/null || :) in
    "$data"/data/*)
      process=${exe#/proc/}
      # shellcheck disable=SC2046
      kill -9 $(below "${process%/exe}") 2>/dev/null || :
      ;;
  esac
done
# Deepest first, or the outer ones are busy.
mounted() {
  for below in "$@"; do
    below=$below awk 'index($2, ENVIRON["below"]) == 1 { print $2 }' /proc/mounts
  done
}
mounted /run/k3s/ /run/netns/cni- "$data/" "$kubelet/" | sort -r | while IFS= read -r mount; do
  umount "$mount" 2>/dev/null || :
done
if [ -n "$(mounted "$data/" "$kubelet/")" ]; then
  fail busy 'volumes are still mounted below /var/lib/rancher/k3s or /var/lib/kubelet'
fi
for link in cni0 flannel.1 flannel-v6.1 flannel-wg kube-ipvs0; do
  if [ -e "/sys/class/net/$link" ]; then ip link delete "$link" 2>/dev/null || :; fi
done
if [ ! -f "$keep" ]; then
  for name in kubectl crictl ctr; do
    case $(readlink "${binary%/*}/$name" 2>/dev/null || :) in
      k3s | "$binary") rm -f "${binary%/*}/$name" ;;
    esac
  done
fi
for file in $files; do
  case $file in
    "$keep") ;;
    /etc/sysctl.d/*)
      # Its name is not ours alone: K3s's guide has people write it themselves.
      if head -n 1 "$file" 2>/dev/null | grep -q '^# Written by Fleetwright'; then rm -f "$file"; fi
      ;;
    *) rm -f "$file" ;;
  esac
done
for unit in k3s k3s-agent; do
  rm -f "/etc/systemd/system/$unit.service.env" "${binary%/*}/$unit-uninstall.sh"
  rmdir "/etc/systemd/system/$unit.service.d" 2>/dev/null || :
done
rm -f "${binary%/*}/k3s-killall.sh"
# Behind a link there may be more than K3s's, so only what it makes there goes.
behind() {
  real=$1 link=$2
  shift 2
  if [ "$real" = "$link" ]; then return; fi
  for part in "$@"; do
    rm -rf "${real:?}/$part" || fail busy "$real/$part"
  done
  rm -f "$link" 2>/dev/null || :
  rmdir "$real" 2>/dev/null || :
}
behind "$data" /var/lib/rancher/k3s agent data server storage
behind "$kubelet" /var/lib/kubelet checkpoints cpu_manager_state device-plugins memory_manager_state pki plugins \
  plugins_registry pod-resources pods seccomp actuated_pods_state allocated_pods_state dra_manager_state
for folder in /etc/rancher/k3s /etc/rancher/node /var/lib/rancher/k3s /var/lib/kubelet /run/k3s /run/flannel "${loaded%/*}"; do
  # A folder that is a disk of its own stays, empty.
  rm -rf "$folder" 2>/dev/null || [ -z "$(ls -A "$folder")" ] || fail busy "$folder"
done
rm -f "${binary%/*}"/.k3s-*.part "${binary%/*}"/.k3s-*.whole
# One that somebody else put there stays theirs.
if [ ! -f "$keep" ]; then rm -f "$binary"; fi
systemctl daemon-reload 2>/dev/null || :
rm -f "$marker" "$keep"
rmdir "${marker%/*}" /etc/rancher /var/lib/rancher 2>/dev/null || :
say changed yes
