#!/bin/sh
# Starts the program and changes two properties at once. JAVA names Java, 17 or newer (default: java).
cd "$(dirname "$0")" && . ../stage.sh
JAVA=${JAVA:-java}
need "$JAVA" "apt install openjdk-17-jdk-headless"
need curl "apt install curl"
export APP_PORT="$(free_port)"
app=http://127.0.0.1:$APP_PORT/

echo "== confcar once fills the directory, the program starts on it, confcar run beside it"
once
start app.log "$JAVA" -Dfile.encoding=UTF-8 -Xshare:auto -XX:TieredStopAtLevel=1 App.java
wait_for answers "$app" "good morning, Zoë"
sidecar
echo "== greeting and pool change in data.yaml"
change data.yaml "s/good morning/good evening/; s/10/20/"
wait_for answers "$app" "good evening, Zoë"
cat app.log
end_of_sidecar
