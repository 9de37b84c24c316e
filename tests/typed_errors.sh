#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Wrong uses of weft/typed.h do not compile, as plain C11 without -Werror. Each snippet is tried in
# two forms that differ in one expression: with the right one the compiler has nothing to say at
# -Wall and -Wextra, so what it says of the wrong one, an error about incompatible types in that
# line, is about that expression. With CC, with every other gcc and clang that is there, and, as
# C++11, with their C++ compilers. Prints one line a snippet and compiler, as the programs of the
# harness do.
#
#     CC=gcc tests/typed_errors.sh [--filter TEXT]

cd "$(dirname "$0")/.." || exit 2
filter=
[ "$1" = --filter ] && filter=$2
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT || exit 2
passed=0 failed=0 skipped=0

# The words of gcc and clang, C and C++, for a value of one type where another one is wanted.
mismatch='incompatible (pointer|integer|type|function pointer)'
mismatch="$mismatch|makes (pointer|integer) from (integer|pointer) without a cast"
mismatch="$mismatch|to parameter of incompatible type|discards .?(const|qualifiers)"
mismatch="$mismatch|cannot convert|could not convert|invalid conversion|no matching function"
mismatch="$mismatch|no match for .operator=|no viable overloaded .="

cat >"$dir/prelude" <<'C'
#include <weft/typed.h>
struct point { int x, y; };
struct size { int x, y; };
WEFT_CHAN_OF(ints, int);
WEFT_CHAN_OF(longs, long);
WEFT_CHAN_OF(other_ints, int);
WEFT_CHAN_OF(strings, char *);
WEFT_CHAN_OF(points, struct point);
WEFT_CHAN_OF(requests, ints);
WEFT_GO_OF(go_int, int);
WEFT_GO_OF(go_pointer, int *);
WEFT_GO_OF(go_point, struct point);
void take_int(int value);
void take_long(long value);
void take_pointer(int *value);
void take_long_pointer(long *value);
void take_const_pointer(const int *value);
void take_point(struct point value);
void take_size(struct size value);
void take_point_pointer(struct point *value);
int return_int(int value);
void take_two(int value, int other);
void use(void);
extern ints int_chan;
extern longs long_chan;
extern other_ints other_chan;
extern strings string_chan;
extern points point_chan;
extern requests request_chan;
extern weft_chan *raw_chan;
extern int number, *number_pointer;
extern const int const_number;
extern long big, *big_pointer;
extern double real, *real_pointer;
extern char *text;
extern const char *const_text;
extern struct point point;
extern struct size size;
C

# compile EXPRESSION: what the compiler says goes to $dir/log.
compile() {
    {
        cat "$dir/prelude"
        echo '#line 1 "snippet"'
        echo "void use(void) { (void)$1; }"
    } >"$dir/snippet.$suffix"
    # shellcheck disable=SC2086
    LC_ALL=C $compiler -std=$standard $warnings -Iinclude -fsyntax-only "$dir/snippet.$suffix" >"$dir/log" 2>&1
}

result() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
        echo "ok   typed_errors: $1"
    else
        failed=$((failed + 1))
        sed 's/^/    | /' "$dir/log"
        echo "FAIL typed_errors: $1: $2"
    fi
}

# rejects NAME RIGHT WRONG
rejects() {
    name="$1, $compiler $standard"
    case $name in *"$filter"*) ;; *) return ;; esac
    warnings='-Wall -Wextra -Wpedantic'
    why=
    if ! compile "$2" || [ -s "$dir/log" ]; then
        why="what is right is not accepted: $2"
    else
        warnings=
        if compile "$3"; then
            why="accepted: $3"
        elif grep -v '^snippet:1:' "$dir/log" | grep -q 'error:'; then
            why="an error elsewhere: $3"
        elif grep 'error:' "$dir/log" | grep -Evq "$mismatch"; then
            why="not a mismatch of types: $3"
        fi
    fi
    result "$name" "$why"
}

# accepts NAME EXPRESSION
accepts() {
    name="$1, $compiler $standard"
    case $name in *"$filter"*) ;; *) return ;; esac
    warnings='-Wall -Wextra -Wpedantic' why=
    compile "$2" && [ ! -s "$dir/log" ] || why="not accepted: $2"
    result "$name" "$why"
}

snippets() {
    # What the header does not forbid.
    accepts sends_converted_number 'ints_send(int_chan, real)'
    accepts receives_into_nothing 'ints_recv(int_chan, NULL)'
    accepts sends_address_of_const 'ints_send_case(int_chan, &const_number)'
    accepts sends_null_pointer 'strings_send(string_chan, NULL)'
    accepts go_with_null 'go_pointer(take_pointer, NULL)'
    if [ $suffix = c ]; then
        accepts sends_compound_literal 'points_send(point_chan, (struct point){1, 2})'
        accepts go_with_compound_literal 'go_point(take_point, (struct point){1, 2})'
    fi

    # Values sent.
    rejects sends_pointer_for_int 'ints_send(int_chan, number)' 'ints_send(int_chan, number_pointer)'
    rejects sends_string_for_int 'ints_send(int_chan, number)' 'ints_send(int_chan, text)'
    rejects sends_int_for_pointer 'strings_send(string_chan, text)' 'strings_send(string_chan, number)'
    rejects sends_other_pointer 'strings_send(string_chan, text)' 'strings_send(string_chan, number_pointer)'
    rejects sends_const_pointer 'strings_send(string_chan, text)' 'strings_send(string_chan, const_text)'
    rejects sends_other_struct 'points_send(point_chan, point)' 'points_send(point_chan, size)'
    rejects sends_address_of_struct 'points_send(point_chan, point)' 'points_send(point_chan, &point)'
    rejects sends_int_for_struct 'points_send(point_chan, point)' 'points_send(point_chan, number)'
    rejects sends_struct_for_int 'ints_send(int_chan, number)' 'ints_send(int_chan, point)'
    rejects sends_other_channel 'requests_send(request_chan, int_chan)' 'requests_send(request_chan, long_chan)'
    rejects sends_pointer_until 'ints_send_until(int_chan, number, (int64_t)0)' \
        'ints_send_until(int_chan, number_pointer, (int64_t)0)'

    # Values received.
    rejects receives_into_value 'ints_recv(int_chan, &number)' 'ints_recv(int_chan, number)'
    rejects receives_into_long 'ints_recv(int_chan, &number)' 'ints_recv(int_chan, &big)'
    rejects receives_into_double 'ints_recv(int_chan, &number)' 'ints_recv(int_chan, real_pointer)'
    rejects receives_into_pointer 'ints_recv(int_chan, &number)' 'ints_recv(int_chan, &number_pointer)'
    rejects receives_into_const 'strings_recv(string_chan, &text)' 'strings_recv(string_chan, &const_text)'
    rejects receives_into_other_struct 'points_recv(point_chan, &point)' 'points_recv(point_chan, &size)'
    rejects receives_into_member 'points_recv(point_chan, &point)' 'points_recv(point_chan, &point.x)'
    rejects receives_other_channel 'requests_recv(request_chan, &int_chan)' 'requests_recv(request_chan, &long_chan)'
    rejects receives_into_long_until 'longs_recv_until(long_chan, &big, (int64_t)0)' \
        'longs_recv_until(long_chan, &number, (int64_t)0)'

    # Channels.
    rejects channel_of_another_type 'ints_recv(int_chan, &number)' 'ints_recv(long_chan, &number)'
    rejects channel_of_another_name 'ints_send(int_chan, number)' 'ints_send(other_chan, number)'
    rejects channel_without_type 'ints_send(int_chan, number)' 'ints_send(raw_chan, number)'
    rejects channel_by_address 'ints_send(int_chan, number)' 'ints_send(&int_chan, number)'
    rejects typed_channel_for_raw 'weft_chan_len(raw_chan)' 'weft_chan_len(int_chan)'
    rejects closes_another_type 'ints_close(int_chan)' 'ints_close(long_chan)'
    rejects length_of_another_type 'ints_len(int_chan)' 'ints_len(string_chan)'
    rejects assigns_another_type '(int_chan = ints_new(1))' '(int_chan = longs_new(1))'
    rejects references_another_type '(int_chan = ints_ref(int_chan))' '(int_chan = ints_ref(long_chan))'

    # Cases of a select.
    rejects case_sends_another_type 'ints_send_case(int_chan, &number)' 'ints_send_case(int_chan, &big)'
    rejects case_sends_value 'ints_send_case(int_chan, &number)' 'ints_send_case(int_chan, number)'
    rejects case_sends_on_another_type 'ints_send_case(int_chan, &number)' 'ints_send_case(long_chan, &number)'
    rejects case_receives_another_type 'points_recv_case(point_chan, &point)' 'points_recv_case(point_chan, &size)'
    rejects case_receives_from_another_type 'ints_recv_case(int_chan, &number)' 'ints_recv_case(point_chan, &number)'
    rejects case_receives_into_const 'strings_recv_case(string_chan, &text)' \
        'strings_recv_case(string_chan, &const_text)'

    # Goroutines.
    rejects go_function_of_long 'go_int(take_int, number)' 'go_int(take_long, number)'
    rejects go_function_of_pointer 'go_int(take_int, number)' 'go_int(take_pointer, number)'
    rejects go_function_of_two 'go_int(take_int, number)' 'go_int(take_two, number)'
    rejects go_function_with_result 'go_int(take_int, number)' 'go_int(return_int, number)'
    rejects go_function_of_other_pointer 'go_pointer(take_pointer, number_pointer)' \
        'go_pointer(take_long_pointer, number_pointer)'
    rejects go_function_of_const_pointer 'go_pointer(take_pointer, number_pointer)' \
        'go_pointer(take_const_pointer, number_pointer)'
    rejects go_function_of_other_struct 'go_point(take_point, point)' 'go_point(take_size, point)'
    rejects go_function_of_struct_pointer 'go_point(take_point, point)' 'go_point(take_point_pointer, point)'
    rejects go_pointer_for_int 'go_int(take_int, number)' 'go_int(take_int, number_pointer)'
    rejects go_int_for_pointer 'go_pointer(take_pointer, number_pointer)' 'go_pointer(take_pointer, number)'
    rejects go_other_pointer 'go_pointer(take_pointer, number_pointer)' 'go_pointer(take_pointer, big_pointer)'
    rejects go_other_struct 'go_point(take_point, point)' 'go_point(take_point, size)'
    rejects go_address_of_struct 'go_point(take_point, point)' 'go_point(take_point, &point)'
    rejects go_swapped_arguments 'go_int(take_int, number)' 'go_int(number, take_int)'
}

tried=
for compiler in "${CC:-gcc}" gcc clang g++ clang++; do
    case " $tried " in *" $compiler "*) continue ;; esac
    tried="$tried $compiler"
    case $compiler in *++) standard=c++11 suffix=cc ;; *) standard=c11 suffix=c ;; esac
    warnings=
    if ! command -v "${compiler%% *}" >/dev/null; then
        skipped=$((skipped + 1))
        echo "skip typed_errors: $compiler: not here"
        continue
    fi
    snippets
done

echo "# typed_errors: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
