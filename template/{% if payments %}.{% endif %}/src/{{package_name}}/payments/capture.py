"""Capturing accepted payments at the gateway: to come."""

from ..chassis import Service


def install(service: Service) -> None:
    """Nothing yet."""
