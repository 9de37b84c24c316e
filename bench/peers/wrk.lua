-- SPDX-License-Identifier: MIT
--
-- Has wrk end with one line that http_load reads: requests, microseconds, bytes, errors of sockets,
-- responses with an error status, and the median and the 99th percentile of the latency in microseconds.
-- Nothing here runs while requests do.

function done(summary, latency)
    local errors = summary.errors
    print(string.format("\nwrk %d %d %d %d %d %f %f", summary.requests, summary.duration, summary.bytes,
        errors.connect + errors.read + errors.write + errors.timeout, errors.status,
        latency:percentile(50), latency:percentile(99)))
end
