#!/bin/sh
# Usage: packages.sh FOLDER. Gets what a host of the tests needs and this machine lacks, sshd and sudo, as Debian's own packages,
# downloaded and not installed. Done once; a second run finds them.
set -eu
folder=$1
mkdir -p "${folder%/*}"
exec 9>"$folder.lock"
flock 9
if [ -f "$folder/complete" ]; then exit 0; fi
if command -v /usr/sbin/sshd >/dev/null && command -v sudo >/dev/null; then
  mkdir -p "$folder"
  touch "$folder/complete"
  exit 0
fi
# Every test asks; one that failed a moment ago answers for the others.
if [ -n "$(find "$folder.failed" -mmin -10 2>/dev/null)" ]; then
  echo 'Debian'"'"'s packages could not be had a moment ago' >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo 'the tests of hosts need OpenSSH'"'"'s server and sudo: install them' >&2
  exit 1
fi
rm -rf "$folder" "$folder.apt"
mkdir -p "$folder.apt/lists/partial" "$folder.apt/archives/partial"
apt() {
  timeout 120 apt-get -qq -o Dir::State::Lists="$folder.apt/lists" -o Dir::Cache::Archives="$folder.apt/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root "$@" 9>&- >&2
}
if ! apt update || ! apt --yes --no-install-recommends --download-only install openssh-server sudo; then
  touch "$folder.failed"
  exit 1
fi
mv "$folder.apt/archives" "$folder"
rm -rf "$folder.apt"
touch "$folder/complete"
