# Adds to a binary that is on its way. Reads this part of it from standard input.
part=${binary%/*}/.k3s-$digest.part
(umask 022 && mkdir -p "${binary%/*}")
for old in "${binary%/*}"/.k3s-*.part; do
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
say changed yes
