"""Refusing at the door what would be refused inside, for a fraction of what a request costs.

Whoever is offered three times what he can carry turns two of three away. Done where the shortage
is, in a route whose request was parsed and validated before, that takes the time in which others
could be served (SPEC A9).
"""

from collections.abc import Callable, Mapping, Sequence
from re import Pattern
from typing import Any

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import Scope

IsFull = Callable[[str], bool]
"""Whether a request of this method would wait in vain; asked once for each, and has to be quick."""


class Bottlenecks:
    """What routes depend on and only so many requests can have at once."""

    def __init__(self) -> None:
        self._is_full: dict[Callable[..., Any], IsFull] = {}

    def add(self, dependency: Callable[..., Any], is_full: IsFull) -> None:
        """Turn away requests whose route depends on this, as by `Depends(dependency)`."""
        self._is_full[dependency] = is_full

    def door(self, routes: Sequence[BaseRoute]) -> "Door":
        """Who asks them, for the routes of an application."""
        return Door(self._is_full, routes)


class Door:
    """Finds out whether there is room for a request before anything else is done for it.

    It knows FastAPI's own routes and what they depend on by declaration. Others, such as those of
    a mounted application, are let in and refused where the shortage is.
    """

    def __init__(
        self, is_full: Mapping[Callable[..., Any], IsFull], routes: Sequence[BaseRoute]
    ) -> None:
        self._routes: list[tuple[Pattern[str], set[str], list[IsFull], RouteContext]] = []
        for route in iter_route_contexts(routes) if is_full else ():
            dependant = getattr(route, "dependant", None)
            methods = getattr(route, "methods", None)
            if dependant is not None and methods:
                calls = _calls(dependant)
                needed = [ask for dependency, ask in is_full.items() if dependency in calls]
                self._routes.append((route.path_regex, set(methods), needed, route))

    def is_closed(self, scope: Scope) -> bool:
        """Whether to turn this request away; its scope names the route then, for the log."""
        method = scope.get("method", "")  # a WebSocket's handshake has none
        for regex, methods, needed, route in self._routes:
            if method in methods and regex.match(scope["path"]):
                closed = any(is_full(method) for is_full in needed)
                if closed:
                    scope["route"] = route
                return closed
        return False


def _calls(dependant: Any) -> set[Callable[..., Any]]:
    """All that a route depends on, however indirectly."""
    calls = {dependant.call}
    for inner in dependant.dependencies:
        calls |= _calls(inner)
    return calls
