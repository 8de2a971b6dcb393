#!/bin/sh
# Has four clients make twenty transactions each with the PostgreSQL server of the directory $1, then
# stops it.
set -eu
data=$(realpath "$1")
until grep -qs ready "$data/postmaster.pid"; do sleep 0.1; done
pgbench -h "$data" -U bench -n -c 4 -t 20 postgres >/dev/null
kill -INT "$(head -n 1 "$data/postmaster.pid")"
# The next server of this directory must not be taken for this one.
while [ -e "$data/postmaster.pid" ]; do sleep 0.1; done
