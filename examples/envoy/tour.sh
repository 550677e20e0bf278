#!/usr/bin/env bash
# A walk through the mesh of docker-compose.yml, while requests flow: a canary, a failover, a registration. None of them may fail.
#
#   docker-compose up -d && ./tour.sh
set -euo pipefail
cd "$(dirname "$0")"

if [ -z "${COMPOSE:-}" ]; then
  if docker compose version >/dev/null 2>&1; then COMPOSE='docker compose'; else COMPOSE=docker-compose; fi
fi
shop=http://127.0.0.1:${GATEWAY_PORT:-8080}
answers=$(mktemp)

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$COMPOSE $*" && $COMPOSE "$@"; }
# So many requests, and who answered them.
ask() { curl --silent "$shop/?[1-$1]" | grep -o '"backend":"[^"]*"' | sort | uniq -c; }
# Asks once a second until the answers of 50 requests are as wanted; a minute is more than any of it takes.
until_answers() {
  for _ in $(seq 60); do
    if ask 50 | grep -q "$@"; then return; fi
    sleep 1
  done
  echo "not within a minute: $*" >&2
  return 1
}
# Until all four Envoys have accepted what this replica has.
until_in_sync() {
  for _ in $(seq 60); do
    if [ "$($COMPOSE exec -T "$1" fairlead nodes | grep -c 'route .*in sync')" -eq 4 ]; then return; fi
    sleep 1
  done
  echo "not within a minute: all Envoys in sync with $1" >&2
  return 1
}
# (With the services that others need, `up` would put the first documents into etcd again: hence --no-deps below.)
put() { run run --rm -T put put "/compose/$1" --etcd http://etcd:2379; }

# Whatever happens, the mesh is left as it was found.
finish() {
  code=$?
  [ -z "${load:-}" ] || kill "$load" 2>/dev/null || true
  rm -f "$answers"
  $COMPOSE --profile busy rm --stop --force catalog-3 >/dev/null 2>&1 || true
  exit "$code"
}
trap finish EXIT

say 'The shop opens when web answers with something of both versions of catalog.'
until_answers 'catalog-2 v2'
ask 200

# Some ten requests a second from here to the end, each written down by its status.
while :; do
  curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 10 "$shop/" >>"$answers" || true
  sleep 0.1
done &
load=$!

say '1. A canary. Half of the requests are to go to version 2: one document of compose/half goes into etcd.'
put half
until_answers -E '^ +(1[5-9]|2[0-9]|3[0-5]) .*catalog-2 v2'
ask 200

say 'Version 2 is good. From now on any instance will do: compose/all.'
put all

say '2. A failover. First of the control plane: one replica is killed, and the Envoys go on with the other.'
run kill fairlead-1
until_in_sync fairlead-2
run exec -T fairlead-2 fairlead nodes
run up -d --no-deps fairlead-1

say 'Then of catalog: an instance and its sidecar are killed. Requests that were there are tried again elsewhere.'
run kill catalog-2 catalog-2-envoy
ask 200

say 'They come back, and with them their registration.'
run up -d --no-deps catalog-2-envoy catalog-2
until_answers 'catalog-2 v2'
ask 200

say '3. A registration. A third instance starts, writes itself into etcd, and gets requests.'
run --profile busy up -d --no-deps catalog-3
until_answers 'catalog-3 v2'
ask 200

say 'It is stopped: it takes itself out first, and ends when nobody asks it any more.'
run stop catalog-3
ask 200

say 'Back to where we began.'
put mesh

kill "$load"
wait "$load" 2>/dev/null || true
load=
good=$(grep -c '^200$' "$answers" || true)
bad=$(grep -vc '^200$' "$answers" || true)
say "$good requests were answered meanwhile, $bad failed."
[ "$bad" -eq 0 ] && [ "$good" -gt 0 ]
