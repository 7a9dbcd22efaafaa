#!/bin/sh
# Starts two small servers and HAProxy in front of the first; the second joins. HAPROXY names the program.
cd "$(dirname "$0")" && . ../stage.sh
HAPROXY=${HAPROXY:-haproxy}
need "$HAPROXY" "apt install haproxy"
need curl "apt install curl"
export HAPROXY HAPROXY_PORT="$(free_port)"
site=http://127.0.0.1:$HAPROXY_PORT/
for name in one two; do # each serves a page with its name
    mkdir -p "sites/$name"
    echo "$name" >"sites/$name/index.html"
    port=$(free_port)
    echo "127.0.0.1:$port" >"sites/$name.address"
    start "$name.log" "$PYTHON" -m http.server --bind 127.0.0.1 --directory "sites/$name" "$port"
    wait_for answers "http://127.0.0.1:$port/" "$name"
done
cp sites/one.address data/servers/one

echo "== confcar once fills the directory, HAProxy starts on it, confcar run beside it"
once
start haproxy.log "$HAPROXY" -W -p haproxy.pid -f shared/haproxy.cfg -f shared/backend.cfg
wait_for answers "$site" one
sidecar
echo "HAProxy passes on to: $(curl --silent "$site")"
echo "== the second server joins: one more file below data/servers"
cp sites/two.address two.new && mv two.new data/servers/two
wait_for answers "$site" two
echo "HAProxy passes on to: $( (curl --silent "$site" "$site" "$site" "$site") | sort -u | xargs)"
end_of_sidecar
