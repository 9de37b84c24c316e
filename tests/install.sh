#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `make install` leaves is what a program needs: a small one is built against it in every way that
# is promised, and run. Each way is a test of its own in the report.

CC=${CC:-cc}
unset MAKEFLAGS MFLAGS MAKELEVEL # This is no part of the make that runs the tests.
root=$(mktemp -d) && trap 'rm -rf "$root"' EXIT || exit 1
prefix=$root/prefix
passed=0 failed=0 skipped=0

ok() {
    passed=$((passed + 1))
    echo "ok   install: $1"
}

fail() {
    failed=$((failed + 1))
    echo "FAIL install: $1"
    sed 's/^/    | /' "$root/log"
}

skip() {
    skipped=$((skipped + 1))
    echo "skip install: $1: $2"
}

# way NAME FUNCTION: every command in it succeeds; what it says is shown only if one does not. (Not as a
# condition of `if`, where -e is off.)
way() {
    (set -ex; "$2") >"$root/log" 2>&1
    if [ $? -eq 0 ]; then ok "$1"; else fail "$1"; fi
}

# runs PROGRAM LIBRARY: it prints what it should, and needs that library of weft's ('': none).
runs() {
    test "$("$1")" = 'from a goroutine'
    test "$(readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(libweft.*\)]/\1/p')" = "$2"
}

cat >"$root/hello.c" <<'C'
#include <stdio.h>
#include <weft.h>
static int main_goroutine(int argc, char **argv) { (void)argc, (void)argv; return puts("from a goroutine") < 0; }
int main(int argc, char **argv) { return weft_run(main_goroutine, argc, argv); }
C

install_it() {
    make install PREFIX="$prefix"
}

shared() {
    $CC "$root/hello.c" -I"$prefix/include" -L"$prefix/lib" -lweft -Wl,-rpath,"$prefix/lib" \
        -o "$root/shared"
    runs "$root/shared" libweft.so.0
}

archive() {
    $CC "$root/hello.c" -I"$prefix/include" "$prefix/lib/libweft.a" -pthread -o "$root/archive"
    runs "$root/archive" ''
}

static() {
    $CC -static "$root/hello.c" -I"$prefix/include" -L"$prefix/lib" -lweft -pthread -o "$root/static"
    runs "$root/static" ''
}

pkg_config() {
    export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
    $CC "$root/hello.c" $(pkg-config --cflags --libs weft) -Wl,-rpath,"$prefix/lib" -o "$root/pkg"
    runs "$root/pkg" libweft.so.0
    pkg-config --libs --static weft | grep -e -pthread
    test "$(pkg-config --modversion weft)" = "$(readlink "$prefix/lib/libweft.so.0" | sed 's/.*so\.//')"
}

cmake_package() {
    mkdir "$root/cmake"
    cat >"$root/cmake/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.13)
project(hello C)
find_package(weft 0.1 REQUIRED)
add_executable(shared ../hello.c)
target_link_libraries(shared weft::weft)
add_executable(archive ../hello.c)
target_link_libraries(archive weft::static)
find_package(weft 9 QUIET)
if(weft_FOUND)
  message(FATAL_ERROR "a version that is not there was found")
endif()
C
    cmake -S "$root/cmake" -B "$root/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC"
    cmake --build "$root/cmake/build"
    runs "$root/cmake/build/shared" libweft.so.0
    runs "$root/cmake/build/archive" ''
}

# A package is built in a staging directory, and says where it will be.
staged() {
    make install PREFIX=/opt/weft DESTDIR="$root/stage"
    test "$(ls "$root/stage")" = opt
    grep -x 'prefix=/opt/weft' "$root/stage/opt/weft/lib/pkgconfig/weft.pc"
    test -z "$(find "$root/stage" -name '*.pc' -o -name '*.cmake' | xargs grep -e "$root" -e '@[A-Z]*@')"
}

uninstalled() {
    make uninstall PREFIX=/opt/weft DESTDIR="$root/stage"
    test -z "$(find "$root/stage" ! -type d)"
    test ! -e "$root/stage/opt/weft/include/weft"
}

way installs install_it
way links_shared shared
way links_the_archive archive
if echo 'int main(void) { return 0; }' | $CC -static -x c - -o "$root/probe" 2>/dev/null; then
    way links_statically static
else
    skip links_statically "$CC cannot link statically here"
fi
for tool in pkg-config cmake; do
    if command -v $tool >/dev/null; then
        way "works_with_$tool" "$(echo $tool | sed 's/pkg-config/pkg_config/; s/cmake/cmake_package/')"
    else
        skip "works_with_$tool" "$tool is not installed"
    fi
done
way stages staged
way uninstalls uninstalled

echo "# install: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
