# What others need to join, with the digest of the cluster's authority in front.
if [ ! -s "$token" ]; then fail absent "$token"; fi
# Never as an argument: not every shell has a printf of its own.
printf 'fw1 token='
head -n 1 "$token" | tr -d '\n'
echo
