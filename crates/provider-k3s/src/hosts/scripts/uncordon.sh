# Lets pods onto a node again, if it was us who kept them off.
turn=$(turn_of "$node" 2>&1) || fail cluster "$(last_of "$turn")"
case $turn in
  '' | 'open ' | 'cordoned ') say changed no ;;
  *)
    problem=$(kubectl patch node "$node" --type merge --patch "$patch" 2>&1) || fail cluster "$(last_of "$problem")"
    say changed yes
    ;;
esac
