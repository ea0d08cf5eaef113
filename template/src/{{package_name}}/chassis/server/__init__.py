"""Gunicorn's master and its workers: start, departure, both ports."""
