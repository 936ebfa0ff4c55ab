-- For wrk: post the bodies of a file, one JSON text a line, in turn; at the end print one line of JSON.
-- wrk -s post.lua URL -- FILE

local requests = {}
local turn = 0

function init(args)
    for line in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "p999_ms": %.3f, "refused": %d, "lost": %d}\n',
        summary.requests,
        summary.duration / 1e6,
        latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3,
        latency:percentile(99.9) / 1e3,
        errors.status,
        errors.connect + errors.read + errors.write + errors.timeout
    ))
end
