"""The service. Yours, except for `chassis/`, `answers.py` and `main.py`, which updates replace."""
