#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Drives examples/httpd with clients that were written elsewhere: curl, wrk and h2load, those of them that
# are installed. Prints one line a case, as the programs of the harness do.
#
#     BUILD=build/default tests/servers/httpd_clients.sh [--filter TEXT]

program=${BUILD:-build/default}/examples/httpd
filter=
[ "$1" = --filter ] && filter=$2
[ -x "$program" ] || { echo "$program: not built" >&2 && exit 2; }
dir=$(mktemp -d) || exit 2
server=
trap 'rm -rf "$dir"; [ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
passed=0 failed=0 skipped=0
unset http_proxy https_proxy all_proxy ALL_PROXY

wanted() {
    case servers/httpd_clients:$1 in *"$filter"*) return 0 ;; esac
    return 1
}

skip() {
    skipped=$((skipped + 1))
    echo "skip servers/httpd_clients: $1: $2"
}

# verdict NAME STATUS: with what the client printed, unless the status is 0.
verdict() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok   servers/httpd_clients: $1"
    else
        failed=$((failed + 1))
        tail -qn 20 "$dir/errors" "$dir/out" 2>/dev/null | cut -c 1-200 | sed 's/^/    | /'
        echo "FAIL servers/httpd_clients: $1"
    fi
}

# try TOOL NAME: runs the function case_NAME, whose status is the verdict.
try() {
    wanted "$2" || return
    if ! command -v "$1" >/dev/null; then
        skip "$2" "$1 is not installed"
        return
    fi
    rm -f "$dir/out" "$dir/errors"
    "case_$2" 2>"$dir/errors"
    verdict "$2" $?
}

# fetch ARGUMENT...: what curl gets goes to out.
fetch() {
    timeout 60 curl -sS -o "$dir/out" "$@"
}

# ---- What is tried ----

case_get() {
    fetch "$url/" && [ "$(cat "$dir/out")" = "Hello, World!" ]
}

case_json() {
    fetch "$url/json" && [ "$(cat "$dir/out")" = '{"message":"Hello, World!"}' ]
}

case_head() {
    fetch -I "$url/" && grep -q '^HTTP/1.1 200 ' "$dir/out" && grep -qi '^Content-Length: 14' "$dir/out"
}

case_post_length() {
    fetch --data-binary "@$dir/files/data" "$url/echo" && cmp "$dir/out" "$dir/files/data"
}

case_post_chunked() {
    fetch -H 'Transfer-Encoding: chunked' --data-binary "@$dir/files/data" "$url/echo" &&
        cmp "$dir/out" "$dir/files/data"
}

# Without the 100 curl would wait for 30 s.
case_expect() {
    timeout 20 curl -sS -v -o "$dir/out" -H 'Expect: 100-continue' --expect100-timeout 30 \
        --data-binary "@$dir/files/data" "$url/echo" &&
        grep -q '^< HTTP/1.1 100 Continue' "$dir/errors" && cmp "$dir/out" "$dir/files/data"
}

case_http10() {
    fetch -0 --data-binary "@$dir/files/data" "$url/echo" && cmp "$dir/out" "$dir/files/data"
}

# The number of connections that each of three requests opened.
case_keep_alive() {
    timeout 60 curl -sS -w '%{num_connects} ' -o "$dir/1" "$url/" -o "$dir/2" "$url/nothing" \
        -o "$dir/3" "$url/files/data" >"$dir/out" &&
        [ "$(cat "$dir/out")" = "1 0 0 " ] && cmp "$dir/3" "$dir/files/data"
}

case_parallel() {
    timeout 60 curl -sS -Z --parallel-immediate -o "$dir/part#1" "$url/files/data?[1-30]" || return
    for part in "$dir"/part*; do
        cmp "$part" "$dir/files/data" || return
    done
    [ "$(ls "$dir" | grep -c '^part')" -eq 30 ]
}

case_compressed() {
    fetch --compressed "$url/files/data" && cmp "$dir/out" "$dir/files/data"
}

case_not_found() {
    fetch -f "$url/files/nothing"
    [ $? -eq 22 ]
}

# status WANTED ARGUMENT...
status() {
    wanted_status=$1
    shift
    [ "$(timeout 60 curl -sS -o "$dir/out" -w '%{http_code}' "$@")" = "$wanted_status" ]
}

case_file() {
    fetch "$url/files/data" && cmp "$dir/out" "$dir/files/data"
}

case_escape() {
    status 404 --path-as-is "$url/files/../secret" || status 400 --path-as-is "$url/files/../secret"
}

case_range_middle() {
    status 206 -r 1000-1999 "$url/files/data" &&
        tail -c +1001 "$dir/files/data" | head -c 1000 | cmp - "$dir/out"
}

case_range_suffix() {
    status 206 -r -777 "$url/files/data" && tail -c 777 "$dir/files/data" | cmp - "$dir/out"
}

case_range_beyond() {
    status 416 -r 1000000-2000000 "$url/files/data"
}

case_resume() {
    head -c 123456 "$dir/files/data" >"$dir/out"
    fetch -C - "$url/files/data" && cmp "$dir/out" "$dir/files/data"
}

case_etag() {
    fetch --etag-save "$dir/etag" "$url/files/data" && [ -s "$dir/etag" ] &&
        status 304 --etag-compare "$dir/etag" "$url/files/data"
}

case_not_modified() {
    status 304 -z "$dir/files/data" "$url/files/data" && status 200 -z '1 Jan 2001' "$url/files/data"
}

case_method() {
    status 405 -X DELETE "$url/json"
}

case_put_unread() {
    status 405 -T "$dir/files/data" "$url/files/data"
}

# The reply arrives though curl is still sending when it comes.
case_over_the_limit() {
    for i in 1 2 3 4 5; do
        status 413 --data-binary "@$dir/over" -H 'Expect:' "$url/echo" &&
            status 413 --data-binary "@$dir/over" -H 'Expect:' -H 'Transfer-Encoding: chunked' "$url/echo" &&
            status 413 --data-binary "@$dir/over" -H 'Expect: 100-continue' "$url/echo" || return
    done
}

case_at_the_limit() {
    head -c 500000 "$dir/over" >"$dir/limit"
    fetch --data-binary "@$dir/limit" "$url/echo" && cmp "$dir/out" "$dir/limit"
}

case_long_head() {
    status 431 -H "X: $(printf '%020000d' 0)" "$url/"
}

case_slow_reader() {
    fetch --limit-rate 1M "$url/files/data" && cmp "$dir/out" "$dir/files/data"
}

# has PATTERN, hasnt PATTERN: in what the client printed.
has() {
    grep -q "$1" "$dir/out"
}

hasnt() {
    ! has "$1"
}

load() {
    timeout 60 nice wrk -t 1 -c "$1" -d "$2" "$url$3" >"$dir/out" &&
        has '^Requests/sec: *[1-9]' && hasnt 'Socket errors' && hasnt 'Non-2xx'
}

case_wrk_hello() {
    load 64 2 /
}

case_wrk_file() {
    load 16 1 /files/data
}

case_wrk_sleep() {
    load 200 1 /sleep/10
}

all_succeeded() {
    timeout 60 nice h2load --h1 -n "$@" >"$dir/out" &&
        has "$1 succeeded, 0 failed, 0 errored, 0 timeout" && has "status codes: $1 2xx"
}

case_h2load() {
    all_succeeded 20000 -c 50 "$url/"
}

case_h2load_pipelined() {
    all_succeeded 50000 -c 20 -m 16 "$url/"
}

case_h2load_post() {
    all_succeeded 2000 -c 20 -d "$dir/files/page" "$url/echo"
}

case_h2load_file() {
    all_succeeded 1000 -c 20 -m 2 "$url/files/data"
}

# ---- The server ----

mkdir "$dir/files"
head -c 400000 /dev/urandom >"$dir/files/data"
head -c 4096 /dev/urandom >"$dir/files/page"
head -c 500001 /dev/zero >"$dir/over"
touch -d '2 days ago' "$dir/files/data"
echo secret >"$dir/secret"

: >"$dir/server"
timeout --foreground -k 2 240 "$program" --files "$dir/files" --max-body 500000 127.0.0.1:0 >"$dir/server" 2>&1 &
server=$!
tries=400
until grep -q '^listening on ' "$dir/server"; do
    tries=$((tries - 1))
    if ! kill -0 $server 2>/dev/null; then
        wait $server
        status=$?
        server=
        cat "$dir/server"
        exit $status
    fi
    [ $tries -gt 0 ] || { echo "does not listen" && exit 1; }
    sleep 0.05
done
url=http://$(sed -n 's/^listening on //p' "$dir/server")

for name in get json head post_length post_chunked expect http10 keep_alive parallel compressed not_found file \
    escape range_middle range_suffix range_beyond resume etag not_modified method put_unread over_the_limit \
    at_the_limit long_head slow_reader; do
    try curl $name
done
for name in wrk_hello wrk_file wrk_sleep; do
    try wrk $name
done
for name in h2load h2load_pipelined h2load_post h2load_file; do
    try h2load $name
done

if wanted stop; then
    kill -TERM $server
    wait $server && grep -q '^stopped: ' "$dir/server"
    status=$?
    server=
    cp "$dir/server" "$dir/out"
    verdict stop $status
fi

echo "# $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
