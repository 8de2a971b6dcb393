#!/bin/sh
# The README's table of rules of copy-on-write: every recording under each, on 4 simulated CPUs: plainly, with
# huge pages, and with swap and about a quarter of the memory that it takes. Beyond plain runs only those are
# shown in which the rules differ.
#
# usage: recordings/policies.sh [FREEHOLD]        (FREEHOLD: the command; target/release/freehold)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
freehold=${1:-$here/../target/release/freehold}

row() {
    name=$1
    shift
    "$freehold" compare "$here/$name.fhr" --policy cow=exclusive --policy cow=refcount --policy cow=mapcount \
        --json --audit end "$@" 2>/dev/null | python3 -c '
import json, sys
columns = json.load(sys.stdin)["columns"]
assert all(column["status"] == "good" for column in columns), sys.argv
counts = [column["report"]["cow"] for column in columns]
cells = [f"{cow['"'"'copied'"'"']:,} / {cow['"'"'needless'"'"']:,}".replace(",", " ") for cow in counts]
if len(sys.argv) == 2 or len(set(cells)) > 1:
    options = "`" + " ".join(sys.argv[2:]) + "`" if sys.argv[2:] else "-"
    print(f"| `{sys.argv[1]}` | {options} | " + " | ".join(cells) + " |")
' "$name" "$@"
}

echo '| recording | options | `exclusive` | `refcount` | `mapcount` |'
echo '|---|---|---|---|---|'
while read -r name memory; do
    row "$name"
    row "$name" --thp always
    row "$name" --swap 1G --memory "$memory"
    row "$name" --swap lz4:1G --memory "$memory" --thp always
done <<END
redis-bgsave 16M
cc-compile 64M
python-fork 20M
threads-map 8M
postgres-pgbench 20M
node-gc 32M
END
