# mypy: ignore-errors
"""Gunicorn for the rivals: what the service's own configuration says about sockets and workers."""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    """Uvicorn's, without the middleware around each application that believes `X-Forwarded-For`.

    The service has it too only when `FORWARDED_ALLOW_IPS` names a proxy.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "proxy_headers": False,
    }


worker_class = Worker
backlog = 2048
keepalive = 5
timeout = 120
accesslog = None
control_socket_disable = True
