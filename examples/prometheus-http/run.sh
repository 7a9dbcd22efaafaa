#!/bin/sh
# Starts Prometheus and changes its targets and an alert at once. PROMETHEUS and PROMTOOL name the programs.
cd "$(dirname "$0")" && . ../stage.sh
PROMETHEUS=${PROMETHEUS:-prometheus} PROMTOOL=${PROMTOOL:-promtool}
need "$PROMETHEUS" "apt install prometheus"
need "$PROMTOOL" "apt install prometheus"
need curl "apt install curl"
export PROMTOOL PROMETHEUS_PORT="$(free_port)"
api=http://127.0.0.1:$PROMETHEUS_PORT/api/v1
used() { # what Prometheus itself says that it uses
    curl --silent "$api/targets" | grep -o '"__address__":"[^"]*"' | sort
    curl --silent "$api/rules" | grep -o '"duration":[0-9]*'
}

echo "== confcar once fills the directory, Prometheus starts on it, confcar run beside it"
once
start prometheus.log "$PROMETHEUS" --config.file=shared/prometheus.yml --storage.tsdb.path=tsdb \
    --web.listen-address="127.0.0.1:$PROMETHEUS_PORT" --web.enable-lifecycle
wait_for answers "$api/targets" "127.0.0.1:9101"
sidecar
used
echo "== a target joins, and the alert waits longer: two files, one reload"
change data.yaml "s/5m/10m/; s/    one: .*/&\n    two: 127.0.0.1:9102/"
wait_for answers "$api/targets" "127.0.0.1:9102"
used
end_of_sidecar
