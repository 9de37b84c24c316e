/* SPDX-License-Identifier: MIT
 *
 * Signals to the process as values in a channel.
 */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <weft/chan.h>
#include <weft/export.h>

WEFT_BEGIN_DECLS

/* A channel of int that receives the number of each of these signals that comes to the process, on
 * whatever thread. While there is such a channel the signal's default action (to end the program)
 * does not happen. A signal that comes again before it was taken from the channel is delivered
 * once; none is lost otherwise. Several channels may ask for one signal: each gets it. The list
 * ends with 0, which the macro adds: weft_signal_chan(SIGINT, SIGTERM). Nothing else is to be sent
 * on the channel. NULL: not a signal that can be caught (SIGKILL, SIGSTOP), or one that means a
 * fault or is weft's own (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGURG); no runtime runs; no memory is
 * left. Any thread. */
WEFT_API weft_chan *weft_signal_chan(int signo, ...);
#define weft_signal_chan(...) weft_signal_chan(__VA_ARGS__, 0)

/* Ends the delivery to the channel, closes it and drops the reference; who has another one can
 * still receive what came before. Signals that no other channel asks for have the action again that
 * they had before. The end of a run does the same for all channels that are left, except that their
 * reference is still the caller's, for weft_chan_unref. -EINVAL: not such a channel (any more). Any
 * thread. */
WEFT_API int weft_signal_stop(weft_chan *chan);

WEFT_END_DECLS

#endif
