#!/bin/sh
# Makes the recordings again: recordings/make.sh [NAME...]
#
# Needs Debian's redis-server, g++, python3, postgresql, nodejs and valgrind, and perf with the right to
# use it. The hold-outs (sqlite, sort) are made only when named; their recordings go to $HOLDOUT, because only
# their figures are published.
set -eu
cd "$(dirname "$0")"
cargo build --release --quiet --package freehold-lab
freehold=$(realpath "${CARGO_TARGET_DIR:-../target}/release/freehold")
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Everything runs in the scratch directory, so that no path of this machine is recorded.
cp programs/* "$work"
cd "$work"

redis_bgsave() {
    # The server runs twice: plainly, for Linux's counts, and under valgrind.
    (
        ./drive_redis.sh redis.sock
        ./drive_redis.sh redis.sock
    ) &
    $freehold record --touches -o "$here/redis-bgsave.fhr" -- redis-server --port 0 \
        --unixsocket redis.sock --save '' --appendonly no \
        --enable-debug-command yes --rdbcompression no --rdb-key-save-delay 50 \
        --logfile redis.log
    wait
}

cc_compile() {
    $freehold record --with perf -o "$here/cc-compile.fhr" -- \
        g++ -std=c++17 -O1 words.cpp -o words
}

python_fork() {
    $freehold record --touches -o "$here/python-fork.fhr" -- /usr/bin/python3 fork_workers.py
}

threads_map() {
    gcc -O2 -pthread threads_map.c -o threads_map
    $freehold record --with perf -o "$here/threads-map.fhr" -- ./threads_map
}

postgres_pgbench() {
    # A server refuses to be root's. It runs twice: plainly, for Linux's counts, and under valgrind.
    PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"
    as=
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$work"
        as="setpriv --reuid=postgres --regid=postgres --clear-groups"
    fi
    $as ./make_postgres.sh data
    (
        $as ./drive_postgres.sh data
        $as ./drive_postgres.sh data
    ) &
    $as $freehold record --touches -o postgres-pgbench.fhr -- postgres -D data
    wait
    cp postgres-pgbench.fhr "$here"
}

node_gc() {
    $freehold record --touches -o "$here/node-gc.fhr" -- node --jitless --expose-gc garbage.js
}

sqlite() {
    $freehold record --with perf -o "$HOLDOUT/sqlite.fhr" -- sqlite3 db "
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, size INTEGER);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
            INSERT INTO t SELECT i, 'name ' || (i * 7919 % 200003), i * 31 % 1009 FROM n;
        CREATE INDEX by_size ON t (size, name);
        SELECT size, count(*), max(name) FROM t GROUP BY size ORDER BY 2 DESC, 1 LIMIT 3;"
}

sort() {
    awk 'BEGIN { for (i = 0; i < 400000; i++) print i * 7919 % 400009, "line", i }' >lines
    $freehold record --with perf -o "$HOLDOUT/sort.fhr" -- \
        sort --parallel=4 -S 32M -T . -o sorted lines
}

for name in "${@:-redis_bgsave cc_compile python_fork threads_map postgres_pgbench node_gc}"; do
    for one in $name; do
        case $one in
        redis_bgsave | cc_compile | python_fork | threads_map | postgres_pgbench | node_gc) $one ;;
        sqlite | sort) HOLDOUT=${HOLDOUT:?where hold-outs go} $one ;;
        *) echo "make.sh: no recording is called $one" >&2 && exit 2 ;;
        esac
    done
done
