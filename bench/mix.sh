#!/bin/sh
# A mix of ordinary work, to be recorded: compilers, shells, file churn, loopback connections. mix.sh FOLDER SECONDS SOURCE
cd "$1" || exit 1
end=$(($(date +%s) + $2))
i=0
while [ "$(date +%s)" -lt "$end" ]; do
  i=$((i + 1))
  gcc -O1 -c -o "part-$i.o" "$3" && gcc -o "tool-$i" "part-$i.o" && rm -f "part-$i.o"
  for j in 1 2 3 4 5 6 7 8; do
    printf 'line %s\n' "$i" "$j" | sort | uniq -c >"list-$i-$j.txt"
    mv "list-$i-$j.txt" "list-$i-$j.log"
    cp "list-$i-$j.log" "copy-$i-$j.log" && chmod 600 "copy-$i-$j.log"
  done
  tar cf "logs-$i.tar" list-"$i"-*.log && gzip -f "logs-$i.tar"
  find . -name "list-$i-*" -newer "$3" -exec cat {} + | wc -l >/dev/null
  rm -f list-"$i"-*.log copy-"$i"-*.log "tool-$i" "logs-$i.tar.gz"
done
