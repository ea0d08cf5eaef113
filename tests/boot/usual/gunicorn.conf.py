"""The usual recipe."""

import os

wsgi_app = "usual:app"
bind = [os.environ["BIND_ADDRESS"]]
worker_class = "uvicorn_worker.UvicornWorker"
workers = 2
graceful_timeout = 10
control_socket_disable = True
max_requests = int(os.environ.get("MAX_REQUESTS", "0"))
