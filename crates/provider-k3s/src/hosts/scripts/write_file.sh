# Puts one whole file in place or leaves the old one. Reads the content from standard input.
changed=no
if [ ! -f "$file" ] || [ "$(digest_of "$file")" != "$digest" ]; then
  own_folder "$file"
  new=$file.fleetwright-new
  # A new file each time: a run that was cut off may still hold the old one open.
  rm -f "$new"
  cat >"$new" || { rm -f "$new" && fail write "$file"; }
  if [ "$(digest_of "$new")" != "$digest" ]; then
    rm -f "$new"
    fail cut "$file did not arrive whole"
  fi
  chmod "$mode" "$new"
  chown 0:0 "$new"
  sync "$new" 2>/dev/null || sync
  mv -f "$new" "$file"
  sync "${file%/*}" 2>/dev/null || sync
  changed=yes
else
  cat >/dev/null
  if [ "$(stat -c '%a %u:%g' "$file")" != "$mode 0:0" ]; then
    chmod "$mode" "$file"
    chown 0:0 "$file"
    changed=yes
  fi
fi
say changed "$changed"
