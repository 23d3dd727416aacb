"""The data plane for HTTP/2, as gRPC speaks it: calls pass through one by one, and faults apply to them.

Clients speak it in clear text; upstreams in clear text, or over TLS where the route says `https://`.
"""
