-- Requests for wrk: the ids of a file in turn, one body. Prints one JSON object at the end.
-- wrk … -s wrk.lua URL -- PATH FILE_OF_IDS BODY
local requests, turn = {}, 0

function init(args)
  local headers = {["Content-Type"] = "application/json", ["Host"] = wrk.host .. ":" .. wrk.port}
  for id in io.lines(args[2]) do
    headers["X-Request-Id"] = id
    requests[#requests + 1] = wrk.format("POST", args[1], headers, args[3])
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "errors": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3
  ))
end
