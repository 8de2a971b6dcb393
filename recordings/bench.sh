#!/usr/bin/env bash
# Times recorded programs and their replays in turn: recordings/bench.sh [-n RUNS] [RECORDING.fhr...]
#
# For each recording (all of this directory if none is named) it runs the recorded program, with the
# command that the recording names, and `freehold replay --audit off`, one after the other, RUNS times
# (default 7) after one round that does not count. It prints wall times and processor times (user and
# system), and how much less wall time the replay takes. Needs the Debian packages of make.sh, without perf and valgrind.
set -euo pipefail

runs=7
if [ "${1-}" = -n ]; then
    runs=$2
    shift 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || set -- "$here"/*.fhr
recordings=()
for recording in "$@"; do recordings+=("$(realpath "$recording")"); done
cd "$here"
cargo build --release --quiet --package freehold-lab
freehold=$(realpath "${CARGO_TARGET_DIR:-../target}/release/freehold")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp programs/* "$work"
cd "$work"
# A recording names its program without a directory: it is one of these.
export PATH="$work:/usr/bin:/bin"
PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"
# What a command is run with that must not be root's.
as=()
TIMEFORMAT='%3R %3U %3S'

# What must be there before the program of a recording can run.
prepare() {
    as=()
    case $1 in
    postgres-pgbench)
        if [ "$(id -u)" = 0 ]; then
            chown postgres "$work"
            as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
        fi
        "${as[@]}" ./make_postgres.sh data
        ;;
    threads-map) gcc -O2 -pthread threads_map.c -o threads_map ;;
    sort) awk 'BEGIN { for (i = 0; i < 400000; i++) print i * 7919 % 400009, "line", i }' >lines ;;
    esac
}

# Runs a command; adds its wall, user and system seconds to a file.
timed() {
    local times=$1
    shift
    if ! { time "$@" >output 2>&1; } 2>>"$times"; then
        echo "bench.sh: failed: $*" >&2
        cat output >&2
        exit 1
    fi
}

# Runs the recorded program once.
program() {
    local name=$1 times=$2
    rm -f db
    case $name in
    redis-bgsave) ./drive_redis.sh redis.sock & ;;
    postgres-pgbench) "${as[@]}" ./drive_postgres.sh data & ;;
    esac
    timed "$times" "${as[@]}" "${command[@]}"
    wait
}

# The median and the least of a column of a file of times, in ms.
median_and_least() {
    awk -v "columns=$1" '{ n = split(columns, c, ","); s = 0
        for (i = 1; i <= n; i++) s += $c[i]
        print s * 1000 }' "$2" | sort -n |
        awk '{ at[NR] = $1 } END { print (at[int((NR + 1) / 2)] + at[int(NR / 2) + 1]) / 2, at[1] }'
}

printf '%-14s %26s %8s %26s %8s %6s\n' '' 'program: wall ms' 'CPU ms' 'replay: wall ms' 'CPU ms' 'ratio'
printf '%-14s %17s %8s %8s %17s %8s %8s\n' '' median least median median least median
for recording in "${recordings[@]}"; do
    name=$(basename "$recording" .fhr)
    mapfile -d '' -t command < <("$freehold" info --json "$recording" | python3 -c '
import json, sys
print(*json.load(sys.stdin)["provenance"]["program"], sep="\0", end="\0")')
    prepare "$name"
    program "$name" /dev/null
    timed /dev/null "$freehold" replay --audit off "$recording"
    for ((i = 0; i < runs; i++)); do
        program "$name" "$name.program"
        timed "$name.replay" "$freehold" replay --audit off "$recording"
    done
    read -r wall wall_least < <(median_and_least 1 "$name.program")
    read -r cpu _ < <(median_and_least 2,3 "$name.program")
    read -r replay replay_least < <(median_and_least 1 "$name.replay")
    read -r replay_cpu _ < <(median_and_least 2,3 "$name.replay")
    ratio=$(awk -v "program=$wall" -v "replay=$replay" 'BEGIN { printf "%.1f", program / replay }')
    printf '%-14s %17.0f %8.0f %8.0f %17.0f %8.0f %8.0f %6s\n' \
        "$name" "$wall" "$wall_least" "$cpu" "$replay" "$replay_least" "$replay_cpu" "$ratio"
done
