#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the cross-built test programs AARCH64_TESTS, in AARCH64_BUILD, under AARCH64_QEMU, as many as
# AARCH64_JOBS at a time (mk/aarch64.mk).

if [ -s "$AARCH64_BUILD/missing" ]; then
    cat "$AARCH64_BUILD/missing"
    exit 77
fi

# Emulation is slow.
: "${WEFT_TEST_TIMEOUT_SCALE:=4}"
WEFT_TEST_SKIP=tests/aarch64.skip
export WEFT_TEST_TIMEOUT_SCALE WEFT_TEST_SKIP

# "aarch64/..." is what the report calls them.
printf '%s\n' $AARCH64_TESTS | xargs -P "${AARCH64_JOBS:-1}" -I '{}' sh -c '
    log=$AARCH64_BUILD/tests/{}.log
    "$AARCH64_QEMU" -0 "tests/aarch64/{}" "$AARCH64_BUILD/tests/{}" >"$log" 2>&1
    status=$?
    grep -q "^# .* passed, .* failed, .* skipped" "$log" ||
        echo "FAIL aarch64/{}: exit status $status" >>"$log"
    cat "$log"
    exit $((status != 0))' || exit 1
