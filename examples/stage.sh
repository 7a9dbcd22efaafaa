# The stage of each example's run.sh: a copy of its folder, waiting for conditions, and an end for all that was started.
# CONFCAR names confcar (default: confcar), PYTHON a Python (default: python3); each run.sh names its program likewise.
set -eu
CONFCAR=${CONFCAR:-confcar} PYTHON=${PYTHON:-python3}
PATH=$PATH:/usr/local/sbin:/usr/sbin # where distributions put servers
export PATH CONFCAR_LOG__FORMAT=console CONFCAR_ADMIN__LISTEN=unix:confcar.sock # no port that could be taken
started= work=$(mktemp -d)
remove=$work
trap 'kill $started 2>/dev/null || true; wait; rm -rf $remove' EXIT
trap 'exit 130' INT TERM
cp -R . "$work"
cd "$work"

need() { # a program, and what to do where it is missing
    command -v "$1" >/dev/null || { echo "nothing was run: $1 is not here; $2" >&2; exit 1; }
}
start() { # a file for the output, and a command that runs until the end
    out=$1 && shift
    "$@" >"$out" 2>&1 &
    started="$! $started"
}
once() { # fills the directory; its log is shown where it fails
    $CONFCAR once 2>once.log || { cat once.log; exit 1; }
}
sidecar() { # starts `confcar run` and returns once it has read all data: what changes from then on is a change
    start confcar.log $CONFCAR run
    sidecar=$!
    wait_for $CONFCAR sync
}
has_reloaded() { [ "$(grep -c "reloaded bundle" confcar.log)" -ge "$1" ]; }
end_of_sidecar() { # after so many reloads stops it, shows them, and fails where it did not end well
    wait_for has_reloaded "${1:-1}"
    kill "$sidecar"
    wait "$sidecar" || { cat confcar.log; exit 1; }
    sed -n 's/^[0-9:]* \(reloaded [^ ]* [^ ]*\).*/confcar: \1/p' confcar.log
}
wait_for() { # a condition, for at most a minute
    deadline=$(($(date +%s) + 60))
    until "$@" >waited.log 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || { echo "gave up waiting for: $*" >&2; tail -n 50 ./*.log >&2; exit 1; }
        sleep 0.1
    done
}
answers() { # a URL, and a word that stands in the answer
    curl --silent --fail --insecure --max-time 5 "$1" | grep -q -- "$2"
}
change() { # a file, and sed's command for its new text; in one rename, so that nobody reads half of it
    sed "$2" "$1" >"$1.new" && mv "$1.new" "$1"
}
free_port() { # a port that nobody had a moment ago
    "$PYTHON" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
