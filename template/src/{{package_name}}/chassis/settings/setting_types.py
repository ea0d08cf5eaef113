"""The types of the settings that a number or a plain text can't describe.

Each validator's message says what is allowed and leaves it to the caller whether the refused
value may be shown.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

T = TypeVar("T")

HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
LOOKS_LIKE_IPV4 = re.compile(r"[\d.]+")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]+")


def check_address(address: str) -> str:
    """Accept ``host:port``, ``[::1]:port`` and ``unix:/path``, as Gunicorn binds them."""
    if re.fullmatch(r"unix:/\S+", address):
        return address
    host, _, port = address.rpartition(":")
    if not (_is_host(host) and port.isascii() and port.isdigit() and int(port[:6]) <= 65535):
        raise ValueError("must be host:port with a port from 0 to 65535, [ipv6]:port or unix:/path")
    return address


def _is_host(host: str) -> bool:
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed or LOOKS_LIKE_IPV4.fullmatch(host):
        try:
            return ip_address(host.strip("[]")).version == (6 if bracketed else 4)
        except ValueError:
            return False
    return HOST.fullmatch(host) is not None


def check_network(network: str) -> str:
    """Accept an address, a network in CIDR notation without host bits, or ``*``."""
    if network != "*":
        try:
            ip_network(network)
        except ValueError:
            raise ValueError(
                "must list IP addresses, networks such as 10.0.0.0/8 (no host bits set), or *"
            ) from None
    return network


def check_host_pattern(pattern: str) -> str:
    """Accept a host name, ``*.`` before one, or ``*``; never a scheme, port or path."""
    if pattern != "*" and not _is_host(pattern.removeprefix("*.")):
        raise ValueError("must list host names such as api.example.com, *.example.com, or *")
    return pattern


def check_origin(origin: str) -> str:
    """Accept what a browser sends as ``Origin`` (RFC 6454, scheme and host alone), or ``*``."""
    if origin != "*" and not ORIGIN.fullmatch(origin):
        raise ValueError("must list origins such as https://shop.example.com (no path), or *")
    return origin


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part for item in value.split(",") if (part := item.strip()))


def _each(check: Callable[[str], str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    return lambda items: tuple(check(item) for item in items)


def _empty_is_unset(value: object) -> object:
    # Compose files pass a variable on with ${NAME:-}: set, but empty.
    return None if isinstance(value, str) and not value.strip() else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]
LogFormat = Annotated[Literal["json", "console"], BeforeValidator(_lower)]
Address = Annotated[str, AfterValidator(check_address)]
Maybe = Annotated[T | None, BeforeValidator(_empty_is_unset)]
"""A setting that may be absent, which is how an empty text reads as well."""

# NoDecode: an environment variable is otherwise expected to hold JSON here.
Networks = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_each(check_network))
]
HostPatterns = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_each(check_host_pattern))
]
Origins = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_each(check_origin))
]
