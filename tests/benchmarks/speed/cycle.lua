-- wrk with a number of requests instead of a time: each body of a file in turn, from a given one on.
-- Says "started" and "finished" on standard output; whoever reads it interrupts wrk then, and `done` gives the figures.
-- The first answer that is an error is printed after the word "refused".
--
-- A fixed time would not count the work that is under way when it ends, which is much where a request takes a second.

local bodies, first, total = {}, 0, 0
local granted, sent, answered = 0, 0, 0
local refused = false
local LONGER_THAN_ANY_RUN_MS = 24 * 3600 * 1000

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    wrk.method = "POST"
    wrk.headers["Content-Type"] = arguments[2]
    first, total = tonumber(arguments[3]), tonumber(arguments[4])
    local length = file:read("*l")
    while length do
        bodies[#bodies + 1] = wrk.format(nil, nil, nil, file:read(tonumber(length)))
        length = file:read("*l")
    end
    file:close()
end

-- wrk asks for the delay once before each request, so this is where requests are granted or withheld.
function delay()
    if granted == 0 then
        print("started")
        io.flush()
    end
    if granted >= total then
        return LONGER_THAN_ANY_RUN_MS
    end
    granted = granted + 1
    return 0
end

function request()
    sent = sent + 1
    return bodies[(first + sent) % #bodies + 1]
end

function response(status, headers, body)
    answered = answered + 1
    if status >= 400 and not refused then
        refused = true
        print("refused " .. status .. " " .. body:sub(1, 200):gsub("%s+", " "))
        io.flush()
    end
    if answered == total then
        print("finished")
        io.flush()
    end
end

function done(summary, latency)
    print(string.format(
        '{"p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}',
        latency:percentile(50) / 1000,
        latency:percentile(99) / 1000,
        summary.errors.status
    ))
end
