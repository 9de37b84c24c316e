/* SPDX-License-Identifier: MIT
 *
 * A descriptor in reserve, with which a listener can refuse connections when there are no others
 * left: their clients see an end, and do not hang in its queue. There is one while a run is on.
 */
#include "arch/sanitize.h"
#include "core/polldesc.h"
#include "os/socket.h"

static int spare = -1;   /* atomic: or -1 */
static uint64_t refused; /* atomic */

void wi_poll_drop_spare(void)
{
    wi_sanitize_hide();
    wi_os_fd_spare_close(wi_exchange_acq_rel(&spare, -1));
    wi_sanitize_show();
}

/* If the run ends meanwhile either this or wi_netpoll_fini closes it again. */
void wi_poll_keep_spare(void)
{
    int none = -1;
    wi_sanitize_hide();
    int fd = wi_os_fd_spare();
    if (fd >= 0 && !wi_cas_acq_rel(&spare, &none, fd))
        wi_os_fd_spare_close(fd);
    wi_sanitize_show();
    if (!wi_poll_active())
        wi_poll_drop_spare();
}

/* Somebody else may take the number that the spare one frees, here or in another process: then there
 * is nothing to refuse with, until the next call finds one. */
void wi_netpoll_refuse(int listener)
{
    wi_poll_drop_spare();
    int fd = wi_os_accept(listener, NULL, NULL);
    if (fd >= 0) {
        wi_os_fd_close(fd);
        wi_fetch_add_relaxed(&refused, 1);
    }
    wi_poll_keep_spare();
}

uint64_t wi_netpoll_refused(void)
{
    return wi_load_relaxed(&refused);
}
