# Makes the kernel use our settings now, not only after the next boot.
problem=$(sysctl -q -p "$file" 2>&1) || fail sysctl "$(printf %s "$problem" | tail -n 1)"
say changed yes
