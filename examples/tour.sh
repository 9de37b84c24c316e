#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tour: runs the nine step programs one after another and frames what they print.
#
#     make demo     or     examples/tour.sh build/default/examples
#
# Ends with one line and status 0 if every step's own checks held, 1 if not.

programs=${1:-build/default/examples}
steps='spawn switch memory counts sleepers burners blocking pinned idle_connections'
rule=--------------------------------------------------------------------------------

set -- $steps
count=$#
number=0
failed=
started=$(date +%s)

printf 'weft: goroutines for C. A tour in %d steps, each of them a program of its own.\n' $count
printf 'All numbers are measured now, on %s %s with %s CPUs.\n' "$(uname -sr)" "$(uname -m)" "$(nproc)"

for step in $steps; do
    number=$((number + 1))
    title="-- $number/$count  examples/$step.c "
    printf '\n%s%.*s\n\n' "$title" $((80 - ${#title})) $rule
    timeout --foreground 120 "$programs/$step"
    status=$?
    if [ $status -ne 0 ]; then
        printf '  FAILED: %s ended with status %d\n' $step $status
        failed="$failed $step"
    fi
done

printf '\n%s\n' $rule
set -- $failed
printf 'The tour took %d s; %d of %d steps held' $(($(date +%s) - started)) $((count - $#)) $count
[ -z "$failed" ] && echo . && exit
echo ", not:$failed."
exit 1
