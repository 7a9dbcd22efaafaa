# A primary that knows its environment only. It says what it was started with, and whether it sees a token of confcar's.
echo "app: $GREETING, $WORKERS workers, ${DATABASE_URL%%:*} as ${DATABASE_URL#*//}, token: ${VAULT_TOKEN:-none}"
trap 'exit 0' TERM
sleep 3600 &
wait
