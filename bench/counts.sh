#!/bin/sh
# SPDX-License-Identifier: MIT
#
# counts.sh DIR: instructions per operation, as near to noise-free as a figure of speed gets. Each
# operation runs twice, with few and with many repetitions, and the difference is divided by the
# difference in repetitions: start-up and shut-down cancel. Counts with valgrind, or without it with the
# processor's own counter through perf. Prints a table and writes DIR/counts.json.

dir=${1:-build/default/bench}
operations='spawn yield pingpong buffered select-2 select-2-ready mutex blocking request'
few=20000 many=120000
export WEFT_MAXPROCS=1

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

with_valgrind() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$dir/weft_counts" "$@" \
        >"$scratch/out" 2>&1 && awk '/Collected/ { print $NF }' "$scratch/out"
}

with_perf() {
    perf stat -x, -e instructions:u "$dir/weft_counts" "$@" >"$scratch/out" 2>&1 &&
        awk -F, '/instructions/ && $1 + 0 > 0 { print $1 }' "$scratch/out"
}

[ -x "$dir/weft_counts" ] || {
    echo "counts.sh: $dir/weft_counts is not built; try: make bench-counts" >&2
    exit 2
}
if command -v valgrind >"$scratch/which"; then
    count=with_valgrind tool=$(valgrind --version)
elif [ "$(with_perf mutex $few 2>"$scratch/which")" ]; then
    count=with_perf tool=$(perf --version)
else
    echo "counts.sh: needs valgrind, or perf with an instruction counter" >&2
    exit 1
fi

status=0
separator=''
printf '{\n  "tool": "%s",\n  "results": [' "$tool" >"$dir/counts.json"
printf '%-14s %12s  (%s)\n' operation instructions "$tool"
for operation in $operations; do
    low=$($count "$operation" $few) && high=$($count "$operation" $many)
    if [ "$low" ] && [ "$high" ]; then
        each=$(awk "BEGIN { printf \"%.1f\", ($high - $low) / ($many - $few) }")
        printf '%-14s %12s\n' "$operation" "$each"
        printf '%s\n    {"operation": "%s", "instructions": %s}' "$separator" "$operation" "$each" \
            >>"$dir/counts.json"
        separator=','
    else
        printf '%-14s failed: %s\n' "$operation" "$(tail -n 1 "$scratch/out")"
        status=1
    fi
done
printf '\n  ]\n}\n' >>"$dir/counts.json"
exit $status
