#!/usr/bin/env bash
# Blue serves; green takes over from it, then blue from green, while `load` counts. Exits with 1 if anything failed.
set -euo pipefail
cd "$(dirname "$0")"
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi
trap '$compose down --volumes --timeout 5 >/dev/null 2>&1' EXIT

patience=120 # seconds that each step may take

serving() { # serving NAME GENERATION: waits until the container says that it serves
  local until=$((SECONDS + patience))
  until [[ $(docker logs "$($compose ps -q "$1")" 2>&1) == *"serving: generation $2"* ]]; do
    ((SECONDS < until)) || { echo "$1 does not serve:"; docker logs "$($compose ps -q "$1")"; exit 1; }
    sleep 0.2
  done
  echo "$1 serves (generation $2)"
}

exited() { # exited NAME: waits until the container has exited, by itself and with 0
  local code
  code=$(timeout $patience docker wait "$($compose ps -aq "$1" 2>/dev/null || $compose ps -q "$1")")
  echo "$1 has exited with $code"
  [ "$code" = 0 ]
}

$compose build --quiet net
$compose up -d net blue
serving blue 1
$compose run --rm -T load >load.log 2>&1 & load=$!
timeout $patience bash -c 'until grep -q . load.log; do sleep 0.2; done'

$compose up -d --no-recreate green
serving green 2
exited blue

$compose rm -f blue >/dev/null
$compose up -d --no-recreate blue
serving blue 3
exited green

wait "$load" && failed=0 || failed=1
cat load.log
rm -f load.log
exit $failed
