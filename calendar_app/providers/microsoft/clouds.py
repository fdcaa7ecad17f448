"""Microsoft's clouds: each has its own Entra and its own Graph, and neither knows the others' accounts.

Sources: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud (Entra),
https://learn.microsoft.com/graph/deployments (Graph). Addresses that are none of theirs are a proxy's before the global
cloud.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_ENTRA = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")
_GRAPH = (
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
)
RESOURCES = tuple(f"https://{host}/" for host in _GRAPH)


def entra_of(authorize: str) -> str:
    """The Entra that names itself in answers to the authorization endpoint ``authorize``."""
    host = urlsplit(authorize).hostname
    return f"https://{host if host in _ENTRA else _ENTRA[0]}"


def resource_of(api_url: str) -> str:
    """What stands before the names of permissions of the Graph at ``api_url``."""
    host = urlsplit(api_url).hostname
    return f"https://{host if host in _GRAPH else _GRAPH[0]}/"
