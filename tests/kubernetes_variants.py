"""Answers whose manifests are built and looked at: each pair of those that matter to them."""

from collections.abc import Iterator

from allpairspy import AllPairs

OVERLAYS = ("staging", "production")

VALUES: dict[str, list[str]] = {
    "service_name": ["payment-api", "a", "x" * 30],
    "archetype": ["payments", "minimal", "inference"],
    "database": ["postgresql", "none"],
    "events": ["log", "redis"],
    "auth": ["none", "jwt"],
    "tracing": ["false", "true"],
    "cpu_limit": ["2", "0.1", "1.250"],
    "memory_limit_mib": ["1024", "64"],
    "replicas_min": ["3", "1"],
}
NAMES = list(VALUES)


def may_stand_together(row: list[str]) -> bool:
    """Payments have a database, and events come from one."""
    chosen = dict(zip(NAMES, row, strict=False))
    if chosen.get("database") != "none":
        return True
    return chosen["archetype"] != "payments" and chosen.get("events") != "redis"


def variants() -> Iterator[dict[str, str]]:
    """The answers of each variant; the first is what who only wants PostgreSQL gets."""
    yield {"database": "postgresql"}
    for row in AllPairs(list(VALUES.values()), filter_func=may_stand_together):
        answers = dict(zip(NAMES, row, strict=True))
        if answers["database"] == "none":
            del answers["events"]
        if answers["memory_limit_mib"] == "64":
            answers["memory_per_worker_mib"] = "32"
        yield {**answers, "deploy": "[kubernetes]"}


VARIANTS = list(variants())
