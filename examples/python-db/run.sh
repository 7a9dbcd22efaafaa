#!/bin/sh
# Starts PostgreSQL and the program, and gives it another database user. POSTGRES names the server's program.
cd "$(dirname "$0")" && . ../stage.sh
POSTGRES=${POSTGRES:-$(command -v postgres || find /usr/lib/postgresql -path "*/bin/postgres" 2>/dev/null | tail -n 1)}
need "${POSTGRES:-postgres}" "apt install postgresql"
bin=$(dirname "$(readlink -f "$POSTGRES")") # where its companions are
"$PYTHON" -c "import pg8000" 2>/dev/null || { echo "nothing was run: pg8000 is not here; pip install pg8000" >&2; exit 1; }
export PGHOST=127.0.0.1 PGPORT="$(free_port)"
base=$(mktemp -d /tmp/confcar-postgres-XXXXXX) remove="$remove $base" as_owner=
if [ "$(id -u)" = 0 ]; then # which it refuses to run as
    chown nobody "$base"
    as_owner="setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups --"
fi
sql() { # one statement, on the socket, where its owner needs no password
    (cd / && $as_owner "$bin/psql" -q -h "$base" -U keeper -d postgres -c "$1")
}
uses() { grep -q "logged in as $1" app.log; }

echo "== PostgreSQL with two users, as Vault's database engine would make them"
(cd / && $as_owner "$bin/initdb" -U keeper -A scram-sha-256 --auth-local=trust --no-sync \
    "$base/data") >initdb.log 2>&1
start postgres.log $as_owner "$bin/postgres" -D "$base/data" -h "$PGHOST" -p "$PGPORT" -k "$base"
wait_for sql "SELECT 1"
sql "CREATE ROLE \"app-one\" LOGIN PASSWORD 'example-one'"
sql "CREATE ROLE \"app-two\" LOGIN PASSWORD 'example-two'"
echo "== confcar once fills the directory, the program starts on it, confcar run beside it"
once
start app.log "$PYTHON" app.py
wait_for test -s app.pid
sidecar
echo "== the second user takes the place of the first, which is dropped"
change data.yaml "s/one/two/"
wait_for uses app-two
sql "DROP ROLE \"app-one\""
cat app.log
end_of_sidecar
