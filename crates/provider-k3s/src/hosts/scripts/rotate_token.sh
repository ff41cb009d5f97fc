# Lets K3s make a new token to join with. It reads the old one from its own file, so neither is ever an argument.
before=$(digest_of "$token")
problem=$("$binary" token rotate 2>&1) || fail cluster "$(last_of "$problem")"
if [ "$(digest_of "$token")" = "$before" ]; then fail cluster 'K3s reports success, and the token is the old one'; fi
say changed yes
