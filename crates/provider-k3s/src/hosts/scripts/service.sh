# Asks the service manager; does not wait for K3s, the next look tells how far it is.
try() {
  problem=$("$@" 2>&1) || fail service "$(printf %s "$problem" | tail -n 1)"
}
case $action in
  enable) try systemctl enable --quiet "$unit" ;;
  start)
    try systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null || :
    try systemctl start --no-block "$unit"
    ;;
  restart)
    try systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null || :
    try systemctl restart --no-block "$unit"
    ;;
  stop)
    if [ "$(systemctl show "$unit" -p LoadState 2>/dev/null)" != LoadState=not-found ]; then
      try systemctl stop "$unit"
    fi
    ;;
  *) fail bug "$action" ;;
esac
say changed yes
