"""Microsoft's clouds: each has its own Entra and its own Graph, and neither knows the others' accounts.

Sources: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud (Entra),
https://learn.microsoft.com/graph/deployments (Graph). Addresses that are none of theirs are a proxy's before the global
cloud.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_ENTRA = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")
_SAME = {"login.chinacloudapi.cn": "login.partner.microsoftonline.cn"}
"""Another address of an Entra, and the one by which it names itself."""
_GRAPH = (
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
)
_ACCESS_PAGES = {
    "us": "https://myapps.microsoft.us",
    "cn": "https://myapps.windowsazure.cn",
    "com": "https://myapps.microsoft.com (work or school) or https://account.live.com/consent/Manage (personal)",
}
"""Where people end an application's access, by the last part of the cloud's addresses
(https://learn.microsoft.com/entra/identity/enterprise-apps/myapps-overview; the national ones are named by Microsoft's
own account pages and support). Personal accounts are in the global cloud only."""
RESOURCES = tuple(f"https://{host}/" for host in _GRAPH)


def entra_of(authorize: str) -> str:
    """The Entra that names itself in answers to the authorization endpoint ``authorize``."""
    host = _host(authorize)
    return f"https://{host if host in _ENTRA else _ENTRA[0]}"


def access_page(authorize: str, api_url: str) -> str:
    """Where the owner of an account in the cloud of these two addresses ends an application's access, in words."""
    hosts = (_host(authorize), _host(api_url))
    known = [host.rpartition(".")[2] for host in hosts if host in (*_ENTRA, *_GRAPH)]
    return _ACCESS_PAGES[next((cloud for cloud in known if cloud != "com"), "com")]


def resource_of(api_url: str) -> str:
    """What stands before the names of permissions of the Graph at ``api_url``."""
    host = _host(api_url)
    return f"https://{host if host in _GRAPH else _GRAPH[0]}/"


def _host(address: str) -> str:
    host = urlsplit(address).hostname or ""
    return _SAME.get(host, host)
