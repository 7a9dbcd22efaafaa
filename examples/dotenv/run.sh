#!/bin/sh
# Lets confcar start a program, and changes two of its variables at once.
cd "$(dirname "$0")" && . ../stage.sh
has_started() { grep -q "^app: $1" confcar.log; }

echo "== confcar publishes the file and starts the program with its environment"
export VAULT_TOKEN=the-programs-need-not-see-it
sidecar
wait_for has_started "good morning"
echo "== greeting and workers change in data.yaml"
change data.yaml "s/good morning/good evening/; s/2/4/"
wait_for has_started "good evening"
cat shared/app.env
grep "^app: " confcar.log
end_of_sidecar 0 # a restart stands for the reload
