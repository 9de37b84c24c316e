/* SPDX-License-Identifier: MIT
 *
 * Channels and goroutines with the types of their values: two macros that declare real functions,
 * static inline ones that only call those of chan.h and go.h. Not part of weft.h.
 *
 * A value of another type is a compile error. In C++ it is one anyway; many C compilers only warn,
 * so there this header makes errors of the diagnostics concerned, in the file that includes it, from
 * there on. What C converts silently stays allowed: numbers into one another, void * into any
 * pointer, and a pointer to int into one to unsigned.
 */
#ifndef WEFT_TYPED_H
#define WEFT_TYPED_H

#include <stddef.h>
#include <stdint.h>

#include <weft/chan.h>
#include <weft/go.h>

#ifndef __cplusplus
#pragma GCC diagnostic error "-Wincompatible-pointer-types"
#pragma GCC diagnostic error "-Wint-conversion"
/* In clang the first covers what gcc gives a name of its own: to lose a const. */
#ifndef __clang__
#pragma GCC diagnostic error "-Wdiscarded-qualifiers"
#endif
#endif

/* Private to weft. (A program need not call all that a macro declares.) */
#define WEFT_TYPED_INLINE_ static inline __attribute__((unused))

/* WEFT_CHAN_OF(ints, int); at file scope declares the type ints, a channel whose elements are int,
 * to be passed by value, and the functions below. type is one that can be assigned (a pointer to
 * function needs a typedef, an array a struct around it); in C++ one that is trivially copyable.
 * The member chan is the channel itself, for functions without a typed form, as weft_chan_cap.
 *
 *   ints ints_new(size_t capacity)             weft_chan_new; out of memory: chan is NULL
 *   ints ints_ref(ints chan)                   weft_chan_ref
 *   void ints_unref(ints chan)                 weft_chan_unref
 *
 * Results, closing, waiting and parking as weft_chan_send, weft_chan_recv and so on; receiving into
 * NULL drops the value. Any thread.
 *
 *   int ints_send(ints chan, int value)
 *   int ints_recv(ints chan, int *value)
 *   int ints_send_until(ints chan, int value, int64_t deadline)
 *   int ints_recv_until(ints chan, int *value, int64_t deadline)
 *   int ints_close(ints chan)
 *   size_t ints_len(ints chan)
 *
 * Cases for weft_select. The value must live until it returns; that of a send must not be NULL.
 *
 *   weft_case ints_send_case(ints chan, const int *value)
 *   weft_case ints_recv_case(ints chan, int *value)
 */
#define WEFT_CHAN_OF(name, type)                                                                   \
    typedef struct name {                                                                          \
        weft_chan *chan;                                                                           \
    } name;                                                                                        \
    WEFT_TYPED_INLINE_ name name##_new(size_t capacity_)                                           \
    {                                                                                              \
        name made_ = {weft_chan_new(sizeof(type), capacity_)};                                     \
        return made_;                                                                              \
    }                                                                                              \
    WEFT_TYPED_INLINE_ name name##_ref(name chan_)                                                 \
    {                                                                                              \
        weft_chan_ref(chan_.chan);                                                                 \
        return chan_;                                                                              \
    }                                                                                              \
    WEFT_TYPED_INLINE_ void name##_unref(name chan_)                                               \
    {                                                                                              \
        weft_chan_unref(chan_.chan);                                                               \
    }                                                                                              \
    WEFT_TYPED_INLINE_ int name##_send(name chan_, type value_)                                    \
    {                                                                                              \
        return weft_chan_send(chan_.chan, &value_);                                                \
    }                                                                                              \
    WEFT_TYPED_INLINE_ int name##_recv(name chan_, type *value_)                                   \
    {                                                                                              \
        return weft_chan_recv(chan_.chan, value_);                                                 \
    }                                                                                              \
    WEFT_TYPED_INLINE_ int name##_send_until(name chan_, type value_, int64_t deadline_)           \
    {                                                                                              \
        return weft_chan_send_until(chan_.chan, &value_, deadline_);                               \
    }                                                                                              \
    WEFT_TYPED_INLINE_ int name##_recv_until(name chan_, type *value_, int64_t deadline_)          \
    {                                                                                              \
        return weft_chan_recv_until(chan_.chan, value_, deadline_);                                \
    }                                                                                              \
    WEFT_TYPED_INLINE_ int name##_close(name chan_)                                                \
    {                                                                                              \
        return weft_chan_close(chan_.chan);                                                        \
    }                                                                                              \
    WEFT_TYPED_INLINE_ size_t name##_len(name chan_)                                               \
    {                                                                                              \
        return weft_chan_len(chan_.chan);                                                          \
    }                                                                                              \
    WEFT_TYPED_INLINE_ weft_case name##_send_case(name chan_, type const *value_)                  \
    {                                                                                              \
        weft_case case_ = {chan_.chan, value_, NULL, 0};                                           \
        return case_;                                                                              \
    }                                                                                              \
    WEFT_TYPED_INLINE_ weft_case name##_recv_case(name chan_, type *value_)                        \
    {                                                                                              \
        weft_case case_ = {chan_.chan, NULL, value_, 0};                                           \
        return case_;                                                                              \
    }                                                                                              \
    struct name

/* WEFT_GO_OF(go_int, int); at file scope declares
 *
 *   int go_int(void (*fn)(int), int arg)
 *
 * which starts a goroutine that runs fn(arg) with its own copy of arg. Results as weft_go. Never
 * waits; any thread. Several arguments are a struct, passed by value:
 *
 *   struct copy { int from, to; size_t size; };
 *   WEFT_GO_OF(go_copy, struct copy);
 *
 *   static void copier(struct copy copy) {...}
 *   ... go_copy(copier, (struct copy){in, out, size});
 */
#define WEFT_GO_OF(name, type)                                                                     \
    struct name##_call_ {                                                                          \
        void (*fn)(type);                                                                          \
        type arg;                                                                                  \
    };                                                                                             \
    WEFT_TYPED_INLINE_ void name##_run_(void *arg_)                                                \
    {                                                                                              \
        struct name##_call_ *call_ = (struct name##_call_ *)arg_;                                  \
        call_->fn(call_->arg);                                                                     \
    }                                                                                              \
    WEFT_TYPED_INLINE_ int name(void (*fn_)(type), type arg_)                                      \
    {                                                                                              \
        struct name##_call_ call_ = {fn_, arg_};                                                   \
        return weft_go_copy(fn_ == NULL ? NULL : name##_run_, &call_, sizeof call_);               \
    }                                                                                              \
    struct name##_call_

#endif
