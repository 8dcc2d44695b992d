"""Which proxy stands between this machine and a server, so that its failures are not told as the server's."""

from __future__ import annotations

import urllib.request

import httpx

from npurun_tui.text import one_line


def proxy_to(url: httpx.URL, configured: str) -> str:
    """Host and port of the proxy on the way to `url`, without its credentials; empty where there is none.

    `configured` is pip's setting, which goes before the environment's and the system's.
    """
    address, proxies = configured, urllib.request.getproxies()
    # NO_PROXY alone, as httpx has it: without it `proxy_bypass` asks Windows and macOS, and a name server: it blocks.
    if not address and not ("no" in proxies and urllib.request.proxy_bypass(url.host)):
        address = proxies.get(url.scheme) or proxies.get("all") or ""
    if not address:
        return ""
    try:
        there = httpx.URL(address if "://" in address else f"http://{address}")
    except httpx.InvalidURL:
        return ""
    host = f"[{there.host}]" if ":" in there.host else there.host
    return one_line(f"{host}:{there.port}" if there.port else host, 100)
