#!/bin/sh
# Runs the example in a copy of this folder, changes the data once, and ends everything.
# CONFCAR names the command (default: confcar), PYTHON a Python for the primary (default: python3).
set -eu
CONFCAR=${CONFCAR:-confcar}
work=$(mktemp -d)
cp -r "$(dirname "$0")"/* "$work"
cd "$work"
trap 'kill ${sidecar:-} ${primary:-} 2>/dev/null || true; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

wait_for() { # a condition, for at most 10 seconds
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "gave up waiting for: $*" >&2; exit 1; }
        sleep 0.1
    done
}
is_ready() { $CONFCAR healthcheck --ready >ready 2>&1; }
was_reloaded() { grep -q "reload for generation 2" primary.out; }

echo "== init container: confcar once waits for all data, publishes, ends"
rm data/port
$CONFCAR once 2>once.log &
once=$!
sleep 1
test ! -e shared/app.json || { echo "app.json is there although a key is missing" >&2; exit 1; }
echo "nothing is published while the key port is missing"
printf 8080 >data/port
wait "$once" || { cat once.log; exit 1; }
cat once.log
echo "== the primary starts on the finished files, confcar run beside it"
"${PYTHON:-python3}" primary.py shared >primary.out &
primary=$!
wait_for test -S shared/app.sock
$CONFCAR run 2>run.log &
sidecar=$!
wait_for is_ready
echo "== two keys change; that is one publish and one reload"
printf 9090 >data/port
printf 200 >data/limits/requests
wait_for was_reloaded
cat primary.out
echo "== what the sidecar logged"
kill "$sidecar"
wait "$sidecar" || failed=$?
cat run.log
exit "${failed:-0}"
