/* SPDX-License-Identifier: MIT
 *
 * kvd: every command and its exact reply, as redis-server 7 gives it where both have the command.
 */
#include "servers/kvd_test.h"

#define WRONG_TYPE   "-WRONGTYPE Operation against a key holding the wrong kind of value~"
#define SYNTAX_ERROR "-ERR syntax error~"
#define OVERFLOWS    "-ERR increment or decrement would overflow~"

static const struct kvd_exchange connection_exchanges[] = {
    {"PING", "+PONG~"},
    {"ping", "+PONG~"},
    {"PiNg hello", "$5~hello~"},
    {"PING ''", "$0~~"},
    {"PING a b", ARITY("ping")},
    {"ECHO hello", "$5~hello~"},
    {"ECHO", ARITY("echo")},
    {"ECHO a b", ARITY("echo")},
    {"SELECT 0", "+OK~"},
    {"SELECT", ARITY("select")},
    {"SELECT x", NO_INTEGER},
    {"SELECT 1000", "-ERR DB index is out of range~"},
    {"SELECT -1", "-ERR DB index is out of range~"},
    {"CLIENT GETNAME", "$-1~"},
    {"CLIENT SETNAME weaver", "+OK~"},
    {"CLIENT GETNAME", "$6~weaver~"},
    {"CLIENT SETNAME ''", "+OK~"},
    {"CLIENT GETNAME", "$-1~"},
    {"HELLO 4", "-NOPROTO unsupported protocol version~"},
    {"HELLO 3000000000000000000000", "-ERR Protocol version is not an integer or out of range~"},
    {"HELLO x", "-ERR Protocol version is not an integer or out of range~"},
    {"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: ~"},
    {"nosuch a b", "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' ~"},
    {"'' a", "-ERR unknown command '', with args beginning with: 'a' ~"},
    {NULL, NULL},
};

KVD_TEST(connection)
{
    kvd_converse(connection_exchanges);
}

static const struct kvd_exchange string_exchanges[] = {
    {"GET a", "$-1~"},
    {"SET a 1", "+OK~"},
    {"GET a", "$1~1~"},
    {"set a two", "+OK~"},
    {"get a", "$3~two~"},
    {"get A", "$-1~"},
    {"SET a ''", "+OK~"},
    {"GET a", "$0~~"},
    {"STRLEN a", ":0~"},
    {"EXISTS a", ":1~"},
    {"SET '' empty", "+OK~"},
    {"GET ''", "$5~empty~"},
    {"DEL ''", ":1~"},
    {"SET", ARITY("set")},
    {"SET a", ARITY("set")},
    {"GET", ARITY("get")},
    {"GET a b", ARITY("get")},
    {"GETSET g 1", "$-1~"},
    {"GETSET g 2", "$1~1~"},
    {"GETSET g", ARITY("getset")},
    {"GET g", "$1~2~"},
    {"STRLEN g", ":1~"},
    {"STRLEN none", ":0~"},
    {"STRLEN", ARITY("strlen")},
    {"APPEND s ab", ":2~"},
    {"APPEND s ''", ":2~"},
    {"APPEND s cde", ":5~"},
    {"GET s", "$5~abcde~"},
    {"APPEND s", ARITY("append")},
    {"MSET x 1 y 2 x 3", "+OK~"},
    {"MGET x y none x", "*4~$1~3~$1~2~$-1~$1~3~"},
    {"MSET x", ARITY("mset")},
    {"MSET x 1 y", ARITY("mset")},
    {"MSET", ARITY("mset")},
    {"MGET", ARITY("mget")},
    {NULL, NULL},
};

KVD_TEST(strings)
{
    kvd_converse(string_exchanges);
}

static const struct kvd_exchange set_exchanges[] = {
    {"SET k 1 XX", "$-1~"},
    {"GET k", "$-1~"},
    {"SET k 1 NX", "+OK~"},
    {"SET k 2 NX", "$-1~"},
    {"GET k", "$1~1~"},
    {"SET k 3 xx", "+OK~"},
    {"GET k", "$1~3~"},
    {"SET k 4 NX XX", SYNTAX_ERROR},
    {"SET k 4 XX NX", SYNTAX_ERROR},
    {"SET k 4 FOO", SYNTAX_ERROR},
    {"SET k 4 EX", SYNTAX_ERROR},
    {"SET k 4 PX", SYNTAX_ERROR},
    {"SET k 4 EX 10 PX 10", SYNTAX_ERROR},
    {"SET k 4 EX 10 NX XX", SYNTAX_ERROR},
    {"SET k 4 EX ten", NO_INTEGER},
    {"SET k 4 EX 1.5", NO_INTEGER},
    {"SET k 4 EX 0", "-ERR invalid expire time in 'set' command~"},
    {"SET k 4 PX -1", "-ERR invalid expire time in 'set' command~"},
    {"SET k 4 EX 9223372036854775807", "-ERR invalid expire time in 'set' command~"},
    {"SET k 4 PX 9223372036854775807", "-ERR invalid expire time in 'set' command~"},
    {"SET k 4 EX 9223372036854775808", NO_INTEGER},
    {"GET k", "$1~3~"},
    {"SET k 5 EX 100 XX", "+OK~"},
    {"TTL k", ":100~"},
    {"SET k 6 NX PX 100", "$-1~"},
    {"TTL k", ":100~"},
    {"SET k 7 xx px 1000000", "+OK~"},
    {"TTL k", ":1000~"},
    {"SET k 8", "+OK~"},
    {"TTL k", ":-1~"},
    {"LPUSH l a", ":1~"},
    {"SET l s NX", "$-1~"},
    {"SET l s", "+OK~"},
    {"TYPE l", "+string~"},
    {NULL, NULL},
};

KVD_TEST(set_options)
{
    kvd_converse(set_exchanges);
}

static const struct kvd_exchange number_exchanges[] = {
    {"INCR n", ":1~"},
    {"INCR n", ":2~"},
    {"GET n", "$1~2~"},
    {"INCRBY n 40", ":42~"},
    {"DECR n", ":41~"},
    {"DECRBY n 50", ":-9~"},
    {"INCRBY n -1", ":-10~"},
    {"DECRBY n -10", ":0~"},
    {"DECR d", ":-1~"},
    {"INCRBY n x", NO_INTEGER},
    {"INCRBY n ''", NO_INTEGER},
    {"INCRBY n 1.0", NO_INTEGER},
    {"INCRBY n 9223372036854775808", NO_INTEGER},
    {"INCRBY n -9223372036854775809", NO_INTEGER},
    {"INCRBY n +1", NO_INTEGER},
    {"INCRBY n 01", NO_INTEGER},
    {"INCRBY n -0", NO_INTEGER},
    {"INCRBY n 0x10", NO_INTEGER},
    {"GET n", "$1~0~"},
    {"SET n 9223372036854775807", "+OK~"},
    {"INCR n", OVERFLOWS},
    {"INCRBY n 1", OVERFLOWS},
    {"INCRBY n 9223372036854775807", OVERFLOWS},
    {"DECRBY n -1", OVERFLOWS},
    {"GET n", "$19~9223372036854775807~"},
    {"DECRBY n 9223372036854775807", ":0~"},
    {"SET n -9223372036854775808", "+OK~"},
    {"DECR n", OVERFLOWS},
    {"INCRBY n -1", OVERFLOWS},
    {"INCR n", ":-9223372036854775807~"},
    {"DECR n", ":-9223372036854775808~"},
    {"DECRBY n -9223372036854775808", "-ERR decrement would overflow~"},
    {"SET n 9223372036854775808", "+OK~"},
    {"INCR n", NO_INTEGER},
    {"SET n -0", "+OK~"},
    {"INCR n", NO_INTEGER},
    {"SET n 007", "+OK~"},
    {"INCR n", NO_INTEGER},
    {"SET n 1x", "+OK~"},
    {"INCR n", NO_INTEGER},
    {"SET n ''", "+OK~"},
    {"INCR n", NO_INTEGER},
    {"SET n 10 EX 100", "+OK~"},
    {"INCR n", ":11~"},
    {"TTL n", ":100~"},
    {"INCR", ARITY("incr")},
    {"DECR a b", ARITY("decr")},
    {"INCRBY n", ARITY("incrby")},
    {"DECRBY n", ARITY("decrby")},
    {NULL, NULL},
};

KVD_TEST(numbers)
{
    kvd_converse(number_exchanges);
}

static const struct kvd_exchange list_exchanges[] = {
    {"LPUSH l c", ":1~"},
    {"LPUSH l b a", ":3~"},
    {"RPUSH l d e f", ":6~"},
    {"LLEN l", ":6~"},
    {"LRANGE l 0 -1", "*6~$1~a~$1~b~$1~c~$1~d~$1~e~$1~f~"},
    {"LRANGE l 0 0", "*1~$1~a~"},
    {"LRANGE l -2 -1", "*2~$1~e~$1~f~"},
    {"LRANGE l -100 1", "*2~$1~a~$1~b~"},
    {"LRANGE l 4 100", "*2~$1~e~$1~f~"},
    {"LRANGE l 6 100", "*0~"},
    {"LRANGE l 3 2", "*0~"},
    {"LRANGE l -1 -2", "*0~"},
    {"LRANGE l -100 -7", "*0~"},
    {"LRANGE l -9223372036854775808 9223372036854775807", "*6~$1~a~$1~b~$1~c~$1~d~$1~e~$1~f~"},
    {"LRANGE l x 1", NO_INTEGER},
    {"LRANGE l 0 1.5", NO_INTEGER},
    {"LRANGE none 0 -1", "*0~"},
    {"LRANGE l 0", ARITY("lrange")},
    {"LINDEX l 0", "$1~a~"},
    {"LINDEX l 5", "$1~f~"},
    {"LINDEX l 6", "$-1~"},
    {"LINDEX l -1", "$1~f~"},
    {"LINDEX l -6", "$1~a~"},
    {"LINDEX l -7", "$-1~"},
    {"LINDEX l -9223372036854775808", "$-1~"},
    {"LINDEX l x", NO_INTEGER},
    {"LINDEX none 0", "$-1~"},
    {"LINDEX l", ARITY("lindex")},
    {"LPOP l", "$1~a~"},
    {"RPOP l", "$1~f~"},
    {"LPOP l 2", "*2~$1~b~$1~c~"},
    {"RPOP l 0", "*0~"},
    {"LPOP l -1", "-ERR value is out of range, must be positive~"},
    {"LPOP l x", "-ERR value is out of range, must be positive~"},
    {"LPOP l 1 2", ARITY("lpop")},
    {"RPOP l 5", "*2~$1~e~$1~d~"},
    {"EXISTS l", ":0~"},
    {"TYPE l", "+none~"},
    {"LLEN l", ":0~"},
    {"LPOP l", "$-1~"},
    {"RPOP l", "$-1~"},
    {"LPOP l 3", "*-1~"},
    {"DBSIZE", ":0~"},
    {"RPUSH l ''", ":1~"},
    {"LRANGE l 0 -1", "*1~$0~~"},
    {"RPOP l", "$0~~"},
    {"DBSIZE", ":0~"},
    {"LPUSH l", ARITY("lpush")},
    {"RPUSH l", ARITY("rpush")},
    {"LPOP", ARITY("lpop")},
    {"RPOP", ARITY("rpop")},
    {"LLEN", ARITY("llen")},
    {NULL, NULL},
};

KVD_TEST(lists)
{
    kvd_converse(list_exchanges);
}

static const struct kvd_exchange key_exchanges[] = {
    {"DBSIZE", ":0~"},
    {"MSET one 1 two 2 three 3 onetwo 12", "+OK~"},
    {"LPUSH list a", ":1~"},
    {"DBSIZE", ":5~"},
    {"EXISTS one", ":1~"},
    {"EXISTS one one none two", ":3~"},
    {"EXISTS", ARITY("exists")},
    {"TYPE one", "+string~"},
    {"TYPE list", "+list~"},
    {"TYPE none", "+none~"},
    {"TYPE", ARITY("type")},
    {"KEYS three", "*1~$5~three~"},
    {"KEYS th*", "*1~$5~three~"},
    {"KEYS *ee", "*1~$5~three~"},
    {"KEYS t?ree", "*1~$5~three~"},
    {"KEYS t[a-h]ree", "*1~$5~three~"},
    {"KEYS t[^a-g]ree", "*1~$5~three~"},
    {"KEYS \\three", "*1~$5~three~"},
    {"KEYS t*e*e", "*1~$5~three~"},
    {"KEYS th", "*0~"},
    {"KEYS ''", "*0~"},
    {"KEYS", ARITY("keys")},
    {"KEYS a b", ARITY("keys")},
    {"DEL one none two two", ":2~"},
    {"DEL", ARITY("del")},
    {"DEL list", ":1~"},
    {"DBSIZE", ":2~"},
    {"FLUSHDB", "+OK~"},
    {"DBSIZE", ":0~"},
    {"KEYS *", "*0~"},
    {"SET a 1", "+OK~"},
    {"FLUSHALL", "+OK~"},
    {"GET a", "$-1~"},
    {"DBSIZE x", ARITY("dbsize")},
    {NULL, NULL},
};

KVD_TEST(keys)
{
    kvd_converse(key_exchanges);
}

static const struct kvd_exchange wrong_type_exchanges[] = {
    {"RPUSH l a b", ":2~"},
    {"SET s x", "+OK~"},
    {"GET l", WRONG_TYPE},
    {"GETSET l x", WRONG_TYPE},
    {"STRLEN l", WRONG_TYPE},
    {"APPEND l x", WRONG_TYPE},
    {"INCR l", WRONG_TYPE},
    {"DECRBY l 1", WRONG_TYPE},
    {"MGET s l", "*2~$1~x~$-1~"},
    {"LPUSH s x", WRONG_TYPE},
    {"RPUSH s x", WRONG_TYPE},
    {"LPOP s", WRONG_TYPE},
    {"RPOP s 2", WRONG_TYPE},
    {"LLEN s", WRONG_TYPE},
    {"LRANGE s 0 -1", WRONG_TYPE},
    {"LINDEX s 0", WRONG_TYPE},
    {"LRANGE l 0 -1", "*2~$1~a~$1~b~"},
    {"GET s", "$1~x~"},
    {"MSET l 1", "+OK~"},
    {"GET l", "$1~1~"},
    {NULL, NULL},
};

KVD_TEST(wrong_types)
{
    kvd_converse(wrong_type_exchanges);
}
