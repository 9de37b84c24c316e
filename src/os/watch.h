/* SPDX-License-Identifier: MIT
 *
 * A set of descriptors that is a descriptor itself, and readable while one of them is ready
 * (watch.c): leaf calls like those of os.h. It is how a goroutine waits for several sockets at
 * once, also for such as belong to a library that closes them: who waits for the set with
 * weft_wait leaves no trace of them in the netpoller.
 */
#ifndef WI_OS_WATCH_H
#define WI_OS_WATCH_H

struct wi_os_watched {
    int fd;
    int events; /* POLLIN, POLLOUT, as they are ready; both if it is in error */
};

/* An empty set, closed on exec; -EMFILE and the like. Closed by weft_close once it was waited for.
 */
int wi_os_watch_open(void);

/* From now on the set watches fd for these of POLLIN and POLLOUT; 0: not any more, as also when it
 * is closed. 0 or -errno. */
int wi_os_watch(int set, int fd, int events);

/* Those that are ready now, at most capacity of them; the level counts. Does not wait. Their
 * number, or -errno. */
int wi_os_watch_ready(int set, struct wi_os_watched *ready, int capacity);

#endif
