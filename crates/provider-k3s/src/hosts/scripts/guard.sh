# Only on a host whose marker names us, looked at now and not when we planned.
if [ ! -f "$marker" ]; then
  fail not-ours 'the host carries no marker'
elif [ "$(cat "$marker")" != "$ours" ]; then
  fail not-ours "$(head -n 4 "$marker" | tr '\n' ' ')"
fi
