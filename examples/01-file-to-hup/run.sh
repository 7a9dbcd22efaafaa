#!/bin/sh
# Starts the primary and changes its port.
cd "$(dirname "$0")" && . ../stage.sh

echo "== confcar once fills the directory, the primary starts on it, confcar run beside it"
once
start primary.log "$PYTHON" primary.py
wait_for test -s primary.pid
sidecar
echo "== the port changes in data.yaml"
change data.yaml "s/8080/9090/"
wait_for grep -q "port = 9090" primary.log
cat primary.log
end_of_sidecar
