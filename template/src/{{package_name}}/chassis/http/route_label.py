"""Which route served a request, as a label: the template that matched and never the path itself.

Labels of metrics must not grow with what clients ask for (SPEC F2), so whatever no route matched
shares one.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Mount
from starlette.types import Scope

UNMATCHED = "unmatched"

_REST = "/{path}"
"""What ends the template of a mount: the part that is the mounted application's."""


def route_label(scope: Scope, routes: Sequence[BaseRoute]) -> str:
    """The template, with the prefixes of routers and mounts; `routes` are the service's own."""
    # FastAPI keeps the route as declared in "route", and the one with its prefixes beside.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template: str | None = getattr(route, "path_format", None)
    if not template:  # of a router's WebSocket, or a route that isn't FastAPI's
        template = getattr(getattr(route, "starlette_route", None), "path_format", None)
    if "app_root_path" not in scope:  # which a mount sets
        return template or UNMATCHED
    if template is None or isinstance(route, Mount):
        template = _REST
    return _mount_prefix(scope, routes) + template


def _mount_prefix(scope: Scope, routes: Sequence[BaseRoute]) -> str:
    """The templates of the mounts that led to the application whose route it was.

    Starlette keeps them only as they were filled in, in `root_path`, so they are found once more.
    """
    outside: str = scope["app_root_path"]
    filled_in = scope["root_path"].removeprefix(outside)
    path = scope["path"].removeprefix(outside)
    prefix = ""
    while filled_in:
        mount, rest = _first_mount(routes, path)
        if mount is None:
            break
        prefix += mount.path_format.removesuffix(_REST)
        filled_in = filled_in[len(path) - len(rest) :]
        path, routes = rest, mount.routes
    return prefix


def _first_mount(routes: Sequence[BaseRoute], path: str) -> tuple[Mount | None, str]:
    for route in routes:
        if isinstance(route, Mount) and (found := route.path_regex.match(path)):
            return route, "/" + found["path"]
    return None, path
