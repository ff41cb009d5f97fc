# Puts the binary in place once all of it has arrived.
part=${binary%/*}/.k3s-$digest.part
changed=no
if [ ! -f "$binary" ] || [ "$(digest_of "$binary")" != "$digest" ]; then
  if [ ! -f "$part" ]; then fail gap 'nothing has arrived'; fi
  if [ "$(digest_of "$part")" != "$digest" ]; then
    rm -f "$part"
    fail digest 'what arrived is not what was sent; it is removed'
  fi
  chown 0:0 "$part"
  chmod 755 "$part"
  sync "$part" 2>/dev/null || sync
  mv -f "$part" "$binary"
  sync "${binary%/*}" 2>/dev/null || sync
  changed=yes
else
  rm -f "$part"
fi
for name in kubectl crictl ctr; do
  if ! command -v "$name" >/dev/null 2>&1; then ln -s "$binary" "${binary%/*}/$name"; fi
done
say changed "$changed"
