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
for part in "${binary%/*}"/.k3s-*.part; do
  if [ -f "$part" ]; then say part "$(($(wc -c <"$part"))) $part"; fi
done
# Absent files are no error.
# shellcheck disable=SC2086
sha256sum "$binary" $files 2>/dev/null | sed 's/^/fw1 file=/' || :
# shellcheck disable=SC2086
stat -c 'fw1 mode=%a %u:%g %n' $files 2>/dev/null || :
if [ -r "$loaded" ]; then sed 's/^/fw1 loaded=/' "$loaded"; fi
if [ -f /var/lib/rancher/k3s/server/db/state.db ]; then say data sqlite; fi
if [ -d /var/lib/rancher/k3s/server/db/etcd ]; then say data etcd; fi
if [ -d /var/lib/rancher/k3s/server ]; then say data server; fi
if [ -d /var/lib/rancher/k3s/agent ]; then say data agent; fi
for file in /etc/systemd/system/k3s*.service; do
  if [ -f "$file" ]; then say unit "${file##*/}"; fi
done
# A block of lines a service, with an empty line between two.
systemctl show k3s.service k3s-agent.service -p Id -p LoadState -p ActiveState -p SubState \
  -p UnitFileState -p Result 2>/dev/null | sed 's/^/fw1 service=/' || :
