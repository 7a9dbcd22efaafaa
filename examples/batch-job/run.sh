#!/bin/sh
# Starts the job, changes a rate between two orders, and sees confcar end with the job.
cd "$(dirname "$0")" && . ../stage.sh
has_done() { grep -q "job: $1" job.log; }

echo "== confcar once fills the directory, the job starts on it, confcar run beside it"
once
mkfifo orders
start job.log "$PYTHON" job.py orders
wait_for test -s job.pid
sidecar
exec 3>orders
echo 100 >&3
wait_for has_done "100 euros"
echo "== the rate changes in data.yaml"
change data.yaml "s/1.10/1.25/"
wait_for has_done "one euro is 1.25"
wait_for has_reloaded 1
echo 200 >&3
exec 3>&- # no more orders
wait_for has_done "200 euros"
cat job.log
echo "== the job has ended, and so does confcar"
wait "$sidecar" || { cat confcar.log; exit 1; }
echo "confcar ended with 0"
