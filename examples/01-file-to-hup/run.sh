#!/bin/sh
# Runs the example in a copy of this folder, changes the data once, and ends everything.
# CONFCAR names the command (default: confcar), PYTHON a Python for the primary (default: python3).
set -eu
CONFCAR=${CONFCAR:-confcar}
work=$(mktemp -d)
cp "$(dirname "$0")"/* "$work"
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
has_new_port() { grep -q "port = 9090" primary.out; }

echo "== confcar once"
$CONFCAR once
ls -l published
echo "== the primary starts, confcar run beside it"
"${PYTHON:-python3}" primary.py >primary.out &
primary=$!
$CONFCAR run 2>confcar.log &
sidecar=$!
wait_for is_ready
wait_for test -s primary.pid
echo "== the port changes in data.yaml"
sed 's/8080/9090/' data.yaml >data.new && mv data.new data.yaml
wait_for has_new_port
cat primary.out
echo "== what confcar logged"
kill "$sidecar"
wait "$sidecar" || failed=$?
cat confcar.log
exit "${failed:-0}"
