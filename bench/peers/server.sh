#!/bin/sh
# SPDX-License-Identifier: MIT
#
# server.sh KIND CONTENDER DIR SCRATCH P: becomes one of the servers that http_load and kv_load load. DIR
# holds the benchmarks' programs; whatever the server needs in files is made in SCRATCH. Those that cannot
# choose a free port take BENCH_PORT, which is printed. All answer as they do by default.

kind=$1 contender=$2 dir=$3 scratch=$4 procs=$5

if [ "$kind" = http ]; then
    mkdir -p "$scratch/files"
    [ -e "$scratch/files/4096.txt" ] ||
        awk 'BEGIN { for (i = 1; i <= 64; i++) printf "%062d\r\n", i }' >"$scratch/files/4096.txt"
fi

# nginx makes folders for what it may have to store; as root its workers need to be told to stay that.
nginx_configuration() {
    [ "$(id -u)" -ne 0 ] || echo 'user root;'
    cat <<END
daemon off;
worker_processes $procs;
pid $scratch/nginx.pid;
error_log stderr error;
events {
    worker_connections 10000;
}
http {
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_body_temp_path $scratch/body;
    proxy_temp_path $scratch/proxy;
    fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi;
    scgi_temp_path $scratch/scgi;
    types {
        text/plain txt;
    }
    server {
        listen 127.0.0.1:$BENCH_PORT;
        location = / {
            default_type text/plain;
            return 200 "Hello, World!\n";
        }
        location /files/ {
            root $scratch;
        }
    }
}
END
}

case $kind-$contender in
http-weft)
    exec "$dir/../examples/httpd" --files "$scratch/files" 127.0.0.1:0
    ;;
http-go)
    exec "$dir/gobench" http "$scratch/files"
    ;;
http-nginx)
    nginx_configuration >"$scratch/nginx.conf"
    echo "$BENCH_PORT"
    exec nginx -e stderr -c "$scratch/nginx.conf"
    ;;
kv-weft)
    exec "$dir/../examples/kvd" 127.0.0.1:0
    ;;
kv-redis)
    echo "$BENCH_PORT"
    exec redis-server --bind 127.0.0.1 --port "$BENCH_PORT" --save '' --appendonly no \
        --dir "$scratch" --logfile "$scratch/redis.log"
    ;;
*)
    echo "server.sh: no $kind of $contender" >&2
    exit 2
    ;;
esac
