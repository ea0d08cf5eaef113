"""Gunicorn for the rivals: what the service's own configuration says about sockets and workers."""

worker_class = "uvicorn_worker.UvicornWorker"  # uvloop and httptools, which are installed
backlog = 2048
keepalive = 5
timeout = 120
accesslog = None
control_socket_disable = True
