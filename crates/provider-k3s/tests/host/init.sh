#!/bin/sh
# Usage: init.sh FOLDER PACKAGES SETUP SHELL, as the first process of new mount, PID, network, UTS and IPC namespaces. Makes a
# host out of this machine's own root, as a layer that is thrown away, says "ready", and lives until its standard input ends.
set -eu
folder=$1 packages=$2 setup=$3 shell=$4
exec 3<&0
mount --make-rprivate /
mkdir "$folder/layers"
mount -t tmpfs tmpfs "$folder/layers"
mkdir "$folder/layers/upper" "$folder/layers/work" "$folder/layers/root"
root=$folder/layers/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/layers/upper,workdir=$folder/layers/work" "$root"
for package in "$packages"/*.deb; do
  if [ -f "$package" ]; then dpkg-deb --fsys-tarfile "$package" | tar -C "$root" -x --keep-directory-symlink; fi
done
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/systemd/system" "$root/run/sshd" "$root/home/ops" "$root/etc/systemd/system"
rm -rf "$root/etc/rancher" "$root/var/lib/rancher" "$root/etc/fleetwright"
cp -a "$setup/." "$root/"
chmod 755 "$root/usr/bin/systemctl"
ln -sf "$shell" "$root/bin/sh"
# Accounts: root by key, one that sudo knows and one that it does not.
sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"
for user in sshd:74 ops:1501 clerk:1502; do
  name=${user%:*} id=${user#*:}
  sed -i "/^$name:/d" "$root/etc/passwd" "$root/etc/shadow"
  echo "$name:x:$id:65534::/home/ops:/bin/sh" >>"$root/etc/passwd"
  echo "$name:*:19000::::::" >>"$root/etc/shadow"
done
# bash reads this when sshd starts it; it is what noise on real hosts comes from.
sed -i 's/^\(root:.*:\)[^:]*$/\1\/bin\/bash/' "$root/etc/passwd"
echo 'echo "Welcome to store 17!"; echo "fw1 uid=7"' >"$root/root/.bashrc"
mkdir -p "$root/etc/sudoers.d"
echo 'ops ALL=(root) NOPASSWD: /bin/sh' >"$root/etc/sudoers.d/ops"
chmod 440 "$root/etc/sudoers.d/ops"
hostname store-17
echo '127.0.0.1 localhost store-17' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf"
# A network of its own, unless it shares that of another host: itself, and a default route that leads nowhere.
if ! ip link show out >/dev/null 2>&1; then
  ip link set lo up
  ip link add out type veth peer name nowhere
  ip address add 192.0.2.1/30 dev out
  ip link set out up
  ip link set nowhere up
  ip route add default via 192.0.2.2
fi
# This machine's own root goes out of reach before anybody may come in.
mkdir "$root/.machine"
cd "$root"
pivot_root . .machine
umount -l /.machine
rmdir /.machine
exec chroot / /bin/dash -c 'echo ready; cat <&3 >/dev/null & wait $!'
