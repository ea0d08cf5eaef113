"""Requests on their way through a worker: connections, limits, deadlines, problems."""
