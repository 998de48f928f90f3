-- wrk for a time: each body of a file in turn, sent again at once whatever the answer. Counts the answers by status.

local bodies, sent = {}, 0
local threads = {}
admitted, refused, failed = 0, 0, 0

function setup(thread)
    threads[#threads + 1] = thread
end

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    wrk.method = "POST"
    wrk.headers["Content-Type"] = arguments[2]
    local length = file:read("*l")
    while length do
        bodies[#bodies + 1] = wrk.format(nil, nil, nil, file:read(tonumber(length)))
        length = file:read("*l")
    end
    file:close()
end

function request()
    sent = sent + 1
    return bodies[sent % #bodies + 1]
end

function response(status, headers, body)
    if status == 200 then
        admitted = admitted + 1
    elseif status == 429 and headers["retry-after"] then
        refused = refused + 1
    else
        failed = failed + 1
    end
end

function done(summary, latency)
    print(string.format(
        '{"seconds": %.3f, "admitted": %d, "refused": %d, "failed": %d}',
        summary.duration / 1e6,
        threads[1]:get("admitted"),
        threads[1]:get("refused"),
        threads[1]:get("failed") + summary.errors.connect + summary.errors.read + summary.errors.write
    ))
end
