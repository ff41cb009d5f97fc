# Takes one file of ours away.
if [ -e "$file" ] || [ -L "$file" ]; then
  rm -f "$file"
  say changed yes
else
  say changed no
fi
