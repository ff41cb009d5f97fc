# Adds to a file that is on its way. Reads this part of it from standard input. When all has arrived it is checked and set aside.
ready=${target%/*}/.k3s-$digest.whole
part=${target%/*}/.k3s-$digest.part
if [ -f "$ready" ]; then
  cat >/dev/null
  say changed no
else
  own_folder "$target"
  for old in "${target%/*}"/.k3s-*.part "${target%/*}"/.k3s-*.whole; do
    if [ "$old" != "$part" ]; then rm -f "$old"; fi
  done
  have=0
  if [ -f "$part" ]; then have=$(($(wc -c <"$part"))); fi
  if [ "$have" -lt "$offset" ]; then
    cat >/dev/null
    fail gap "$have bytes are there, the part begins at $offset"
  fi
  # Without conv=notrunc dd cuts the file off where it would begin to write.
  if [ "$have" -gt "$offset" ]; then dd if=/dev/null of="$part" bs=1 seek="$offset" 2>/dev/null; fi
  cat >>"$part" || fail write "$part"
  have=$(($(wc -c <"$part")))
  if [ "$have" -ne "$((offset + length))" ]; then fail cut "$have bytes are there"; fi
  if [ "$have" -ge "$whole" ]; then
    if [ "$(digest_of "$part")" != "$digest" ]; then
      rm -f "$part"
      fail digest 'what arrived is not what was sent; it is removed'
    fi
    sync "$part" 2>/dev/null || sync
    mv -f "$part" "$ready"
  fi
  say changed yes
fi
