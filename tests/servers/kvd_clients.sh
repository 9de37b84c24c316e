#!/bin/sh
# SPDX-License-Identifier: MIT
#
# kvd, visited by the clients of Redis, and compared with redis-server where that is installed. Prints one
# line a test, as the programs of the harness do.
#
#     BUILD=build/default tests/servers/kvd_clients.sh

kvd=${BUILD:-build/default}/examples/kvd
[ -x "$kvd" ] || { echo "$kvd: not built" >&2 && exit 2; }
dir=$(mktemp -d) || exit 2
server='' redis=''
trap 'rm -rf "$dir"; [ -z "$server$redis" ] || kill $server $redis 2>/dev/null' EXIT
passed=0 failed=0 skipped=0

pass() {
    passed=$((passed + 1))
    echo "ok   servers/kvd_clients: $1"
}

# fail NAME WHY: with the end of what was printed, in the file out.
fail() {
    failed=$((failed + 1))
    tail -n 20 "$dir/out" | sed 's/^/    | /'
    echo "FAIL servers/kvd_clients: $1: $2"
}

skip() {
    skipped=$((skipped + 1))
    echo "skip servers/kvd_clients: $1: $2"
}

# needs NAME PROGRAM...: whether they are installed; the test is skipped otherwise.
needs() {
    test=$1
    shift
    for program; do
        command -v "$program" >/dev/null || { skip "$test" "$program is not installed" && return 1; }
    done
}

# within SECONDS COMMAND...: tries until it succeeds.
within() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

cli() {
    timeout -k 2 60 redis-cli -p "$port" "$@"
}

# same NAME: out is as want.
same() {
    if diff "$dir/want" "$dir/out" >"$dir/diff"; then
        pass "$1"
    else
        mv "$dir/diff" "$dir/out"
        fail "$1" "not what was to be (< wanted, > came)"
    fi
}

"$kvd" 127.0.0.1:0 >"$dir/server" 2>&1 &
server=$!
within 20 grep -q '^listening on ' "$dir/server" || { cat "$dir/server" && exit 1; }
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$dir/server")

# ---- redis-cli ----

if needs commands redis-cli; then
    cat >"$dir/script" <<'END'
ping
set greeting "hello, world"
get greeting
get nothing
incr n
incrby n 41
lpush list c b a
lrange list 0 -1
lpop list 5
del greeting n
get a b
hello 3
set list 1 NX EX 100
dbsize
END
    cat >"$dir/want" <<'END'
PONG
OK
"hello, world"
(nil)
(integer) 1
(integer) 42
(integer) 3
1) "a"
2) "b"
3) "c"
1) "a"
2) "b"
3) "c"
(integer) 2
(error) ERR wrong number of arguments for 'get' command
(error) NOPROTO unsupported protocol version
OK
(integer) 1
END
    cli --no-raw <"$dir/script" >"$dir/out" 2>&1
    same commands
fi

if needs repeat redis-cli; then
    seq 1 200 >"$dir/want"
    cli -r 200 incr repeated >"$dir/out" 2>&1
    same repeat
fi

if needs value_from_stdin redis-cli; then
    seq 1 20000 >"$dir/want"
    cli -x set numbers <"$dir/want" >"$dir/out" 2>&1 && cli get numbers | sed '$d' >"$dir/out"
    same value_from_stdin
fi

if needs info redis-cli; then
    cli info >"$dir/out" 2>&1
    if grep -q '^connected_clients:1' "$dir/out"; then
        pass info
    else
        fail info "does not count this client"
    fi
fi

if needs pipe redis-cli awk; then
    awk 'BEGIN {
        for (i = 1; i <= 20000; i++)
            printf "*3\r\n$3\r\nSET\r\n$%d\r\npiped:%d\r\n$%d\r\n%d\r\n", length(i) + 6, i, length(i), i
    }' | cli --pipe >"$dir/out" 2>&1
    if ! grep -q '^errors: 0, replies: 20000$' "$dir/out"; then
        fail pipe "not 20000 replies without an error"
    elif [ "$(cli mget piped:1 piped:20000 piped:12345 | tr '\n' ' ')" != "1 20000 12345 " ]; then
        fail pipe "keys are not what was piped in"
    else
        pass pipe
    fi
fi

# ---- redis-benchmark ----

# benchmark NAME [OPTION...]: ends well, complains of nothing, and has a result for each of the commands.
benchmark() {
    name=$1
    shift
    needs "$name" redis-benchmark || return
    timeout -k 2 100 redis-benchmark -p "$port" -n "$requests" -q \
        -t ping,set,get,incr,lpush,rpush,lpop,rpop,lrange,mset "$@" >"$dir/out" 2>&1
    status=$?
    tr '\r' '\n' <"$dir/out" >"$dir/lines"
    if [ $status -ne 0 ]; then
        fail "$name" "exit status $status"
    elif grep -i 'err\|warn\|unsupported\|unknown' "$dir/lines" >"$dir/out"; then
        fail "$name" "it complains"
    elif [ "$(grep -c 'requests per second' "$dir/lines")" -lt 14 ]; then
        cp "$dir/lines" "$dir/out"
        fail "$name" "not a result for every command"
    else
        pass "$name"
    fi
}

requests=2000
[ -z "$SAN" ] || requests=500
benchmark benchmark -c 20
benchmark benchmark_pipelined -c 20 -P 16
benchmark benchmark_in_threads -c 20 -P 4 --threads 2 -r 100

# ---- redis-server ----

# Some thousand commands at random, many of them wrong, on few keys. What a reply may differ in is left out:
# the order of keys, and times that go by.
random_commands() {
    awk -v seed="$1" 'function any(text,   words, n) { n = split(text, words, " "); return words[1 + int(rand() * n)] }
    function key() { return "key:" int(rand() * 12) }
    function number() {
        return any("0 1 2 -1 -2 7 10 -5 100 -100 9223372036854775807 -9223372036854775808 x 1.5 007")
    }
    function value() {
        return any("\"\" a hello 0 1 41 -7 9223372036854775807 \"\\x00\\r\\n\" 12345678901234567890")
    }
    BEGIN {
        srand(seed)
        split("SET GET GETSET STRLEN APPEND INCR DECR INCRBY DECRBY MSET MGET LPUSH RPUSH LPUSH RPUSH LPOP RPOP " \
              "LLEN LRANGE LINDEX TYPE DEL EXISTS EXPIRE PERSIST PEXPIRE KEYS LPOPS RPOPS SETS DBSIZE WRONG",
              names, " ")
        for (i = 0; i < 4000; i++) {
            name = names[1 + int(rand() * 32)]
            if (name ~ /^(SET|GETSET|APPEND)$/) print name, key(), value()
            else if (name ~ /^(INCRBY|DECRBY|LINDEX)$/) print name, key(), number()
            else if (name == "MSET") print name, key(), value(), key(), value()
            else if (name ~ /^(MGET|DEL|EXISTS)$/) print name, key(), key(), key()
            else if (name ~ /^(L|R)PUSH$/) print name, key(), value(), value(), value()
            else if (name == "LRANGE") print name, key(), number(), number()
            else if (name ~ /POPS$/) print substr(name, 1, 4), key(), number()
            else if (name ~ /EXPIRE$/) print name, key(), any("1000000 0 -1 x 9223372036854775807 100000000")
            else if (name == "SETS")
                print "SET", key(), value(), any("NX XX nx EX PX KEEP"), any("NX XX 100000 0 x EX")
            else if (name == "KEYS") print name, any("key:1 key:[2] k*:3 ?ey:4 nothing* key:[^0-46-9] key:\\\\7")
            else if (name == "DBSIZE") print name
            else if (name == "WRONG")
                print any("GET LPUSH MSET NOSUCH TTL SET INCR LRANGE"), any("a b c"), any("a b"), any("\"\" x")
            else print name, key()
        }
    }'
}

if needs same_as_redis redis-cli redis-server awk; then
    redis-server --port 0 --unixsocket "$dir/redis.sock" --save '' --appendonly no >"$dir/redis" 2>&1 &
    redis=$!
    if ! within 20 redis-cli -s "$dir/redis.sock" ping; then
        cp "$dir/redis" "$dir/out"
        fail same_as_redis "redis-server does not start"
    else
        cli flushall >/dev/null
        for seed in 1 2 3; do
            random_commands $seed >"$dir/script"
            redis-cli -s "$dir/redis.sock" --no-raw <"$dir/script" >"$dir/replies" 2>&1
            cli --no-raw <"$dir/script" >"$dir/out" 2>&1
            diff "$dir/replies" "$dir/out" || echo "with seed $seed"
        done >"$dir/differences"
        mv "$dir/differences" "$dir/out"
        if [ "$(wc -l <"$dir/replies")" -lt 4000 ]; then
            fail same_as_redis "redis-server gave too few replies"
        elif [ -s "$dir/out" ]; then
            fail same_as_redis "replies differ (< redis-server's, > kvd's)"
        else
            pass same_as_redis
        fi
    fi
    kill "$redis" && wait "$redis"
    redis=''
fi

# ---- The end ----

kill -TERM "$server"
wait "$server"
status=$?
server=''
cp "$dir/server" "$dir/out"
if [ $status -ne 0 ] || ! grep -q '^stopped: ' "$dir/out"; then
    fail stop "exit status $status"
else
    pass stop
fi

echo "# servers/kvd_clients: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
