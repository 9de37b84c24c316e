#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every program in examples/, with small numbers where it takes any, and looks at what it printed.
# Prints one line an example, as the programs of the harness do.
#
#     BUILD=build/default tests/api/examples.sh [--filter TEXT]

bin=${BUILD:-build/default}/examples
filter=
[ "$1" = --filter ] && filter=$2
[ -x "$bin/hello" ] || { echo "$bin: not built" >&2 && exit 2; }
dir=$(mktemp -d) || exit 2
server=
trap 'rm -rf "$dir"; [ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
passed=0 failed=0 skipped=0

wanted() {
    case examples/$1 in *"$filter"*) return 0 ;; esac
    return 1
}

pass() {
    passed=$((passed + 1))
    echo "ok   examples/$1"
}

# fail NAME WHY: with what the program printed last.
fail() {
    failed=$((failed + 1))
    tail -qn 20 "$dir"/out* | sed 's/^/    | /'
    echo "FAIL examples/$1: $2"
}

skip() {
    skipped=$((skipped + 1))
    echo "skip examples/$1: $2"
}

# expect NAME STATUS PATTERN PROGRAM [ARGUMENT...]: ends with that status and prints such a line.
expect() {
    name=$1 want=$2 pattern=$3
    shift 3
    wanted "$name" || return
    rm -f "$dir"/out*
    timeout -k 2 120 "$@" >"$dir/out" 2>&1
    status=$?
    if [ $status -ne "$want" ]; then
        fail "$name" "exit status $status, not $want"
    elif ! grep -q -e "$pattern" "$dir/out"; then
        fail "$name" "no line with '$pattern'"
    else
        pass "$name"
    fi
}

# within SECONDS COMMAND...: tries until it succeeds; what it prints goes to out-client.
within() {
    tries=$(($1 * 20))
    shift
    until "$@" >"$dir/out-client" 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] && kill -0 "$server" 2>/dev/null || return 1
        sleep 0.05
    done
}

# serve PROGRAM ADDRESS [ARGUMENT...]: in the background, as $server. In the foreground of its group, or
# timeout would send it every signal twice.
serve() {
    [ -z "$server" ] || stop TERM
    program=$bin/$1
    shift
    rm -f "$dir"/out*
    : >"$dir/out-server"
    timeout --foreground -k 2 120 "$program" "$@" >"$dir/out-server" 2>&1 &
    server=$!
}

# stop SIGNAL: its exit status is the server's.
stop() {
    kill "-$1" "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    status=$?
    server=
    return $status
}

# A loopback address of our own for the servers whose port is fixed.
host=127.1.$(($$ / 250 % 250)).$(($$ % 250 + 1))

expect hello 0 '= 385$' "$bin/hello"
if [ "$SAN" != thread ]; then
    expect spawn 0 '^  weft_go.* 2 000 ' "$bin/spawn" 2000
elif wanted spawn; then
    skip spawn "it compares prices, and a fiber of the ThreadSanitizer costs more than a thread"
fi
expect switch 0 'weft_yield .* ns' "$bin/switch" 20000
expect memory 0 'goroutines.* 2 000 .* bytes$' "$bin/memory" 2000 200
expect counts 0 'goroutines *501 ' "$bin/counts" 500
expect sleepers 0 'in all  *0\.[5-8]' "$bin/sleepers"
expect burners 0 '^ *4 .* s .* s ' "$bin/burners" 50
expect blocking 0 'blocked at once  *10$' "$bin/blocking"
expect pinned 0 '^  pinned  *200  *0 ' "$bin/pinned"
expect idle_connections 0 '^  *500 ' "$bin/idle_connections" 500
expect diagnostic 0 '^ *[0-9]\.[0-9]  *[12][0-9][0-9][0-9] ' "$bin/diagnostic" 1
if [ "$SAN" != thread ]; then
    expect pinned_library 0 'pinned  *0$' "$bin/pinned_library"
elif wanted pinned_library; then
    skip pinned_library "it shows what goes wrong without pinning: a race, which the ThreadSanitizer reports"
fi
expect watchdog 0 ' 50 allowed$' "$bin/watchdog"
expect watchdog-barks 1 'at most 4 allowed' "$bin/watchdog" 4
expect sieve 0 '^prime number 200 is 1223; 201 goroutines .* all have ended$' "$bin/sieve" 200
expect pipeline 0 "^took 10 of 100 million .* 'Operation canceled', and no goroutine is left$" "$bin/pipeline" 300
expect parallel_map 0 "^one of them fails: 'Numerical argument out of domain'" "$bin/parallel_map" 1000
expect worker_pool 0 '^200 jobs done .* by 4 workers' "$bin/worker_pool" 200
expect rate_limit 0 '^40 operations .* the first 10 .*; 0 too early$' "$bin/rate_limit" 40
expect cancel_tree 0 "^341 of 341 goroutines of the tree ended with 'Connection timed out'" "$bin/cancel_tree" 5
expect backpressure 0 'ahead by *[1-9] *at most$' "$bin/backpressure" 50
expect philosophers 0 '^5 philosophers ate 500 meals each' "$bin/philosophers" 500
expect typed 0 'paid in 3750 and took out 1300; the balance is 2450$' "$bin/typed" 100
expect select 0 '^heard 300 lines of 3 members; .* [1-9][0-9]* times for 5 ms$' "$bin/select" 100
if [ -z "$SAN" ]; then
    expect probe 0 '^  Connection refused  *9 992 ' "$bin/probe"
else
    expect probe 0 '^  Connection refused  *392 ' "$bin/probe" --addresses 400 --at-once 100 --deadline 0.5
fi
expect probe-total 3 '^stopped: [1-9].* addresses were not probed$' "$bin/probe" --at-once 2 --deadline 600 --total 1
expect graceful 0 '^30 ended by themselves, 5 were cut$' "$bin/graceful"
if [ -z "$SAN" ]; then
    expect idle_styles 0 '^  record  *2 000  *[0-9]* .* [1-5][0-9][0-9] B$' "$bin/idle_styles" 2000
elif wanted idle_styles; then
    skip idle_styles "it measures memory, of which a sanitizer takes much"
fi
expect run_commands 0 '^5 of 5 commands ended as they should, 3 of 3 were interrupted$' "$bin/run_commands"
expect spawn-bad-count 2 "'many' is not a count" "$bin/spawn" many

# Malformed addresses are named. (httpd may be a script that says why it was left out.)
listening='proxy chat kvd echo_server graceful idle_server'
[ "$(head -c 2 "$bin/httpd")" = '#!' ] || listening="$listening httpd"
for program in $listening; do
    for address in 127.0.0.1 127.0.0.1:port: 300.0.0.1:80 '[::1:80' 127.0.0.1:65536; do
        expect "$program-malformed" 1 "^$(echo "$address" | sed 's/\[/\\[/'): Invalid argument\$" \
            "$bin/$program" "$address"
    done
done
expect idle_client-malformed 2 '^127.0.0.1: Invalid argument$' "$bin/idle_client" 10 1 127.0.0.1
expect proxy-bad-target 2 "--target: '127.0.0.1' is not host:port" "$bin/proxy" --target 127.0.0.1 127.0.0.1:0
expect probe-bad-address 2 "'nowhere:' is not an IPv4 address with a port" "$bin/probe" nowhere:
expect probe-bad-port 2 "'127.0.0.1:80x' is not an IPv4 address with a port" "$bin/probe" 127.0.0.1:80x
expect chat-bad-option 2 "--idle: 'soon' is not a number" "$bin/chat" --idle soon

# Signals: the probe gives up what is under way, and says what it knows.
for signal in INT TERM; do
    wanted "probe-$signal" || continue
    serve probe --at-once 2 --deadline 600
    sleep 2
    stop $signal
    status=$?
    if [ $status -ne 3 ]; then
        fail "probe-$signal" "status $status after the signal"
    elif ! grep -q '^stopped: [1-9].* addresses were not probed$' "$dir/out-server"; then
        fail "probe-$signal" "does not say what it has not probed"
    else
        pass "probe-$signal"
    fi
done

# The tour's frame, around steps that do nothing: its last line and its status say what failed.
mkdir "$dir/steps"
for step in spawn switch memory counts sleepers burners blocking pinned idle_connections; do
    ln -s /bin/true "$dir/steps/$step"
done
expect tour 0 '; 9 of 9 steps held\.$' sh examples/tour.sh "$dir/steps"
ln -sf /bin/false "$dir/steps/blocking"
expect tour-fails 1 '; 8 of 9 steps held, not: blocking\.$' sh examples/tour.sh "$dir/steps"

# The echo server, with idle_client to talk to it.
if wanted echo_server; then
    address=$host:7777
    serve echo_server "$address"
    if ! within 10 "$bin/idle_client" 20 1 "$address"; then
        fail echo_server "no echo"
    elif ! grep -q '^20 connections' "$dir/out-client"; then
        fail echo_server "not 20 connections"
    else
        pass echo_server
    fi
    stop TERM
fi

# idle_server and idle_client: a signal ends the server while connections are open.
idle_port() {
    sed -n 's/^listening on .*:\([0-9][0-9]*\)$/\1/p' "$dir/out-server" | grep .
}

for style in goroutine record; do
    wanted "idle_server-$style" || continue
    serve idle_server --style $style 127.0.0.1:0 60
    if ! within 10 idle_port; then
        fail idle_server-$style "does not listen"
        continue
    fi
    "$bin/idle_client" 300 30 "127.0.0.1:$(idle_port)" >"$dir/out-load" 2>&1 &
    client=$!
    within 10 grep -q '^ *300 connections .* bytes a connection$' "$dir/out-server" && stop INT
    status=$?
    wait $client
    client_status=$?
    if [ $status -ne 0 ]; then
        fail idle_server-$style "status $status after SIGINT"
    elif ! grep -q '^stopped: every connection closed, 300 at most .* 0 were cut$' "$dir/out-server"; then
        fail idle_server-$style "did not close every connection"
    elif [ $client_status -ne 1 ]; then
        fail idle_server-$style "the client did not see the end: status $client_status"
    else
        pass idle_server-$style
    fi
done

# The same pair: connections that are idle for too long are closed, and the client is told.
for style in goroutine record; do
    wanted "idle_server-$style-timeout" || continue
    serve idle_server --style $style --timeout 0.5 127.0.0.1:0 60
    if ! within 10 idle_port; then
        fail idle_server-$style-timeout "does not listen"
        continue
    fi
    "$bin/idle_client" 300 30 "127.0.0.1:$(idle_port)" >"$dir/out-load" 2>&1
    client_status=$?
    stop INT
    status=$?
    if [ $client_status -ne 1 ]; then
        fail idle_server-$style-timeout "the client did not see the end: status $client_status"
    elif [ $status -ne 0 ] || ! grep -q '^stopped: .* [1-9][0-9]* were idle for too long' "$dir/out-server"; then
        fail idle_server-$style-timeout "status $status, or none was idle for too long"
    else
        pass idle_server-$style-timeout
    fi
done

# The same pair: the end of its time ends the server, once the client has gone.
for style in goroutine record; do
    wanted "idle_client-$style" || continue
    serve idle_server --style $style 127.0.0.1:0 4
    if ! within 10 idle_port; then
        fail idle_client-$style "no server"
    elif ! "$bin/idle_client" 300 1 "127.0.0.1:$(idle_port)" >"$dir/out-client" 2>&1; then
        fail idle_client-$style "status $?"
    elif ! grep -q '^300 connections' "$dir/out-client"; then
        fail idle_client-$style "not 300 connections"
    elif ! wait $server || ! grep -q '^stopped: .* 300 at most' "$dir/out-server"; then
        fail idle_client-$style "the server did not stop when its time was over"
    else
        pass idle_client-$style
    fi
    server=
done

echo "# $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
