"""The data plane for HTTP/2 in clear text, as gRPC speaks it: calls pass through one by one, and faults apply to them."""
