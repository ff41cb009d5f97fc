# Lets no more pods onto a node and notes why, in one write.
turn=$(turn_of "$node" 2>&1) || fail cluster "$(last_of "$turn")"
case $turn in
  '') fail absent "node $node" ;;
  "cordoned $what") say changed no ;;
  *)
    problem=$(kubectl patch node "$node" --type merge --patch "$patch" 2>&1) || fail cluster "$(last_of "$problem")"
    say changed yes
    ;;
esac
