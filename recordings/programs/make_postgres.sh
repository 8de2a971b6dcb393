#!/bin/sh
# Makes the directory $1: the data of a PostgreSQL server with small buffers, and pgbench's tables in it.
set -eu
data=$1
initdb -D "$data" -A trust -U bench --no-sync >/dev/null
cat >>"$data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '.'
shared_buffers = 4MB
huge_pages = off
fsync = off
jit = off
autovacuum = off
max_connections = 10
max_worker_processes = 0
max_logical_replication_workers = 0
max_wal_senders = 0
wal_level = minimal
checkpoint_timeout = 1h
authentication_timeout = 10min
END
pg_ctl -D "$data" -l "$data/log" -w start >/dev/null
pgbench -h "$(realpath "$data")" -U bench -i -q postgres 2>/dev/null
pg_ctl -D "$data" -m fast -w stop >/dev/null
