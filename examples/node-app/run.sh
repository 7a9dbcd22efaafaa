#!/bin/sh
# Starts the program and changes two keys at once. NODE names Node.js (default: node).
cd "$(dirname "$0")" && . ../stage.sh
NODE=${NODE:-node}
need "$NODE" "https://nodejs.org, or apt install nodejs"
need curl "apt install curl"
export APP_PORT="$(free_port)"
app=http://127.0.0.1:$APP_PORT/

echo "== confcar once fills the directory, the program starts on it, confcar run beside it"
once
start app.log "$NODE" app.js
wait_for answers "$app" "good morning"
sidecar
echo "== greeting and basket change in data.yaml"
change data.yaml "s/good morning/good evening/; s/basket: off/basket: on/"
wait_for answers "$app" "good evening"
cat app.log
end_of_sidecar
