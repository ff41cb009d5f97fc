# Puts a file in place that has arrived.
ready=${target%/*}/.k3s-$digest.whole
changed=no
if [ ! -f "$target" ] || [ "$(digest_of "$target")" != "$digest" ]; then
  if [ ! -f "$ready" ]; then fail gap 'it has not arrived'; fi
  chown 0:0 "$ready"
  chmod "$mode" "$ready"
  sync "$ready" 2>/dev/null || sync
  mv -f "$ready" "$target"
  changed=yes
else
  rm -f "$ready"
fi
if [ "$target" = "$binary" ]; then
  for name in kubectl crictl ctr; do
    if ! command -v "$name" >/dev/null 2>&1; then ln -s "$binary" "${binary%/*}/$name"; fi
  done
else
  for other in "${target%/*}"/fleetwright-airgap-images.*; do
    if [ "$other" != "$target" ]; then rm -f "$other"; fi
  done
  # So that a look need not read hundreds of megabytes again, as long as nobody touches them.
  printf '%s %s\n' "$digest" "$(stat -c '%i %s %Z' "$target")" >"${target%/*}/.fleetwright-noted"
fi
sync "${target%/*}" 2>/dev/null || sync
say changed "$changed"
