#!/bin/sh
# Fills the directory once a missing key is there, starts the primary, and changes two keys at once.
cd "$(dirname "$0")" && . ../stage.sh

echo "== confcar once, as an init container: a key is missing"
rm data/port
start once.log $CONFCAR once
once=$!
wait_for grep "waiting for data" once.log
test ! -e shared/app.json
echo "nothing is published"
echo "== the key comes: both files are there at once, and confcar once ends"
printf 8080 >port.new && mv port.new data/port
wait "$once" || { cat once.log; exit 1; }
find shared -type l -name "[!.]*" | sort
echo "== the primary starts on the finished files, confcar run beside it"
start primary.log "$PYTHON" primary.py shared
wait_for test -S shared/app.sock
sidecar
echo "== two keys change: that is one publish and one reload"
printf 9090 >port.new && mv port.new data/port
printf 200 >requests.new && mv requests.new data/limits/requests
wait_for grep "200" primary.log
cat primary.log
end_of_sidecar
