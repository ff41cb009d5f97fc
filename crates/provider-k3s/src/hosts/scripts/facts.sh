# Everything that a decision needs, in one look; changes nothing.
# Not with the shell's own read: it takes single bytes, and the kernel's files give but one.
line() { if value=$(cat "$2" 2>/dev/null); then say "$1" "$value"; fi; }
say uid "$(id -u)"
say machine "$(uname -m)"
say hostname "$(uname -n)"
say epoch "$(date +%s)"
line machine_id /etc/machine-id
line boot /proc/sys/kernel/random/boot_id
sed -n 's/^PRETTY_NAME="*\([^"]*\).*/fw1 os=\1/p' /etc/os-release 2>/dev/null || :
awk '$1 == "MemTotal:" { print "fw1 memory_kib=" $2 }' /proc/meminfo
say cpus "$(grep -c '^processor' /proc/cpuinfo || :)"
for tool in awk base64 cut dd df grep head sed sha256sum stat sync systemctl tail tr wc; do
  command -v "$tool" >/dev/null 2>&1 || say missing "$tool"
done
if [ -d /run/systemd/system ]; then
  say init systemd
elif command -v rc-service >/dev/null 2>&1; then
  say init openrc
else
  say init unknown
fi
for place in /usr/local/bin /var/lib /etc; do
  say space "$(df -Pk "$place" | awk 'NR == 2 { print $4 }') $place"
done
# Local ports in hexadecimal: of TCP those that listen (0A), of UDP those that are bound (07).
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { sub(/.*:/, "", $2); print "fw1 tcp=" $2 }'
cat /proc/net/udp /proc/net/udp6 2>/dev/null | awk '$4 == "07" { sub(/.*:/, "", $2); print "fw1 udp=" $2 }'
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
  say kernel_has cgroup-memory
elif awk '$1 == "memory" && $4 == 1 { found = 1 } END { exit !found }' /proc/cgroups 2>/dev/null; then
  say kernel_has cgroup-memory
fi
if grep -qw overlay /proc/filesystems || modprobe -n overlay 2>/dev/null; then say kernel_has overlay; fi
if [ -e /proc/sys/net/bridge ] || modprobe -n br_netfilter 2>/dev/null; then say kernel_has br_netfilter; fi
if awk '$2 == "00000000" { found = 1 } END { exit !found }' /proc/net/route 2>/dev/null; then
  say kernel_has default-route
elif awk '$1 ~ /^0+$/ && $10 != "lo" { found = 1 } END { exit !found }' /proc/net/ipv6_route 2>/dev/null; then
  say kernel_has default-route
fi
if grep -qx 1 /sys/fs/selinux/enforce 2>/dev/null; then say kernel_has selinux-enforcing; fi
(
  cd /proc/sys
  grep . vm/panic_on_oom vm/overcommit_memory kernel/panic kernel/panic_on_oops 2>/dev/null |
    sed 's/:/=/; s/^/fw1 sysctl=/'
)
if [ -f "$marker" ]; then head -n 8 "$marker" | sed 's/^/fw1 marker=/'; fi
if [ -f "$binary" ]; then
  say version "$("$binary" --version 2>/dev/null | head -n 1 | cut -d ' ' -f 3 || :)"
fi
images=/var/lib/rancher/k3s/agent/images
for part in "${binary%/*}"/.k3s-*.part "${binary%/*}"/.k3s-*.whole "$images"/.k3s-*.part "$images"/.k3s-*.whole; do
  if [ -f "$part" ]; then say part "$(($(wc -c <"$part"))) $part"; fi
done
for archive in "$images"/fleetwright-airgap-images.*; do
  if [ -f "$archive" ]; then
    noted=$(cat "$images/.fleetwright-noted" 2>/dev/null || :)
    if [ "${noted#* }" = "$(stat -c '%i %s %Z' "$archive")" ]; then
      say file "${noted%% *}  $archive"
    else
      say file "$(digest_of "$archive")  $archive"
    fi
  fi
done
# Absent files are no error.
# shellcheck disable=SC2086
sha256sum "$binary" $files 2>/dev/null | sed 's/^/fw1 file=/' || :
# shellcheck disable=SC2086
stat -c 'fw1 mode=%a %u:%g %n' $files 2>/dev/null || :
if [ -r "$loaded" ]; then sed 's/^/fw1 loaded=/' "$loaded"; fi
# Its own settings that change where to look, and drop-ins that are not ours.
for key in data-dir node-name; do
  cat /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/*.yaml 2>/dev/null |
    sed -n "s/^$key:[ \"']*\([^\"' #]*\).*/fw1 setting=$key \1/p" | tail -n 1
done
for file in /etc/rancher/k3s/config.yaml.d/*.yaml /etc/rancher/k3s/config.yaml.d/*.yml; do
  case " $files " in
    *" $file "*) ;;
    *) if [ -f "$file" ]; then say dropin "${file##*/}"; fi ;;
  esac
done
data=/var/lib/rancher/k3s
if [ -f $data/server/db/state.db ]; then say data sqlite; fi
if [ -d $data/server/db/etcd ]; then say data etcd; fi
# Not the folders themselves: manifests and images are put there before the first start.
if [ -d $data/server/tls ] || [ -d $data/server/cred ]; then say data server; fi
if [ -e $data/agent/client-ca.crt ] || [ -d $data/agent/etc ] || [ -d $data/agent/containerd ]; then say data agent; fi
if [ -s $data/server/token ]; then
  say server_token "$(awk '{ print; exit }' $data/server/token | sha256sum | cut -d ' ' -f 1)"
fi
# The first certificate of each file is its own, those that follow vouch for it.
for file in "$data"/server/tls/*.crt "$data"/server/tls/etcd/*.crt "$data"/agent/*.crt; do
  if [ -f "$file" ]; then
    printf 'fw1 cert=%s ' "${file#"$data"/}"
    awk '/^-----BEGIN/ { inside = 1; next } /^-----END/ { exit } inside { printf "%s", $0 }' "$file"
    echo
  fi
done
for file in /etc/systemd/system/k3s*.service; do
  if [ -f "$file" ]; then
    say unit "${file##*/}"
    # What it gives K3s, by name: values may be secrets.
    awk '/^ExecStart=/ { inside = 1 } inside { print; if (!/\\$/) inside = 0 }' "$file" | grep -o -e '--[a-z][a-z0-9-]*' | sed 's/^/fw1 flag=/' || :
    sed -n 's/^\(K3S_[A-Z_]*\)=.*/fw1 flag=\1/p' "$file.env" 2>/dev/null || :
  fi
done
# A block of lines a service, with an empty line between two.
systemctl show k3s.service k3s-agent.service -p Id -p LoadState -p ActiveState -p SubState \
  -p UnitFileState -p Result 2>/dev/null | sed 's/^/fw1 service=/' || :
