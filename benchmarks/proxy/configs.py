"""The configurations of the peers, tuned alike: one worker, keep-alive to both sides, no access log. Pure text.

`ports` are what is to be done → the port for it. Where there is a filter it is there in every case, as in our proxy: idle means
that it selects nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.proxy.cases import Work

KEPT = 600
"""Idle connections to the backend that a peer keeps."""

_SELECT = 'require("change").selected(ngx.req.get_headers()["x-request-id"], {share})'
_FILTER = """
      header_filter_by_lua_block {{
        ngx.ctx.selected = {select}
        if ngx.ctx.selected then ngx.header.content_length = nil end
      }}
      body_filter_by_lua_block {{
        if not ngx.ctx.selected then return end
        local kept = ngx.ctx.kept
        if not kept then kept = {{}}; ngx.ctx.kept = kept end
        kept[#kept + 1] = ngx.arg[1]
        ngx.arg[1] = ngx.arg[2] and require("change").body(table.concat(kept), {times}) or nil
      }}"""


def nginx(folder: Path, backend: int, ports: Mapping[Work, int], lua: tuple[list[Path], str, str] | None = None) -> str:
    """nginx.conf; `lua` are the modules to load, and Lua's search paths for sources and libraries."""
    servers = []
    for work, port in ports.items():
        select = _SELECT.format(share=work.share)
        filters = _FILTER.format(select=select, times=work.times) if lua else ""
        servers.append(
            f"""
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_max_temp_file_size 0;{filters}
    }}
  }}"""
        )
    modules, paths = "", ""
    if lua:
        modules = "".join(f"load_module {module};\n" for module in lua[0])
        paths = f'  lua_package_path "{lua[1]}";\n  lua_package_cpath "{lua[2]}";\n'
    return f"""{modules}daemon off;
worker_processes 1;
error_log {folder}/error.log crit;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{paths}  upstream backend {{
    server 127.0.0.1:{backend};
    keepalive {KEPT};
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}{"".join(servers)}
}}
"""


def haproxy(backend: int, port: int) -> str:
    """haproxy.cfg in HTTP mode."""
    return f"""global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend front
  bind 127.0.0.1:{port} backlog 1024
  default_backend back
backend back
  server backend 127.0.0.1:{backend} pool-max-conn {KEPT}
"""


_ENVOY_LUA = """
package.path = "{sources}/?.lua;" .. package.path
package.cpath = "{libraries}/?.so;" .. package.cpath
local change = require "change"
function envoy_on_request(handle)
  if change.selected(handle:headers():get("x-request-id"), {share}) then
    handle:streamInfo():dynamicMetadata():set("benchmark", "selected", true)
  end
end
function envoy_on_response(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("benchmark")
  if noted and noted.selected then
    local body = handle:body()
    local length = body:setBytes(change.body(body:getBytes(0, body:length()), {times}))
    handle:headers():replace("content-length", length)
  end
end
"""


def _envoy_filters(work: Work, sources: Path | None, libraries: Path | None) -> list[dict[str, object]]:
    kind = "type.googleapis.com/envoy.extensions.filters.http"
    filters: list[dict[str, object]] = []
    if sources is not None:
        source = _ENVOY_LUA.format(sources=sources, libraries=libraries, share=work.share, times=work.times)
        config = {"@type": f"{kind}.lua.v3.Lua", "default_source_code": {"inline_string": source}}
        filters.append({"name": "envoy.filters.http.lua", "typed_config": config})
    filters.append({"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kind}.router.v3.Router"}})
    return filters


def envoy(backend: int, ports: Mapping[Work, int], sources: Path | None, libraries: Path | None) -> str:
    """Envoy's bootstrap as JSON (which is YAML); without `sources` no Lua filter is in the chain."""
    listeners = []
    for work, port in ports.items():
        route = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "front",
            "generate_request_id": False,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": _envoy_filters(work, sources, libraries),
        }
        chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        listeners.append({"address": _address(port), "filter_chains": [chain]})
    limit = {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}
    endpoint = {"endpoint": {"address": _address(backend)}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": 64 * 1024 * 1024,
        "circuit_breakers": {"thresholds": [limit]},
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return json.dumps({"static_resources": {"listeners": listeners, "clusters": [cluster]}}, indent=1)


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def toxiproxy(backend: int, port: int) -> str:
    """Toxiproxy's list of proxies."""
    return json.dumps(
        [{"name": "benchmark", "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{backend}", "enabled": True}]
    )
