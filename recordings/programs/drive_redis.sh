#!/bin/sh
# Drives a Redis server on the socket $1 through a background save under writes, then stops it.
set -eu
socket=$1
ask() { redis-cli -s "$socket" "$@"; }

until [ "$(ask PING 2>/dev/null)" = PONG ]; do sleep 0.05; done
ask DEBUG POPULATE 9000 key 3000 >/dev/null
ask BGSAVE >/dev/null
# Overwrites a third of the keys, and adds a few, while the child saves what was there.
awk 'BEGIN {
    value = sprintf("%3000s", "")
    for (i = 0; i < 3000; i++) printf "SETRANGE key:%d 0 %s\r\n", i * 7919 % 9000, "changed"
    for (i = 0; i < 300; i++) printf "SET new:%d \"%s\"\r\n", i, value
}' | redis-cli -s "$socket" --pipe --pipe-timeout 0 >/dev/null
while ask INFO persistence | grep -q 'rdb_bgsave_in_progress:1'; do sleep 0.05; done
ask SHUTDOWN NOSAVE 2>/dev/null || true
# The next server in this directory must start empty.
rm -f dump.rdb
