"""What the questionnaire says of workers and connections is what the running service says.

Over the whole range of answers: nobody gets through the questions and is refused at boot, and the
other way round (SPEC A2, I3).
"""

from __future__ import annotations

import re
from typing import Any

import jinja2
import support
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from template_chassis import chassis

QUESTIONS = {
    name: question
    for page in ("capacity", "data")
    for name, question in yaml.safe_load(
        (support.REPOSITORY / f"questions/{page}.yml").read_text("utf-8")
    ).items()
}
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(support.REPOSITORY),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - no HTML here
)
ENVIRONMENT.filters["regex_search"] = lambda value, pattern: re.search(pattern, value)
ENVIRONMENT.filters["to_json"] = repr


def evaluate(question: str, part: str, context: dict[str, object]) -> str:
    """The default of a question, or its validator's complaint, with these answers."""
    text: str = QUESTIONS[question][part]
    return ENVIRONMENT.from_string(text).render(context).strip()


def answered(cpu: int, memory: int, per_worker: int, workload: str) -> dict[str, object]:
    """The context that questions are asked in; the CPU in millicores."""
    context: dict[str, object] = {
        "cpu_limit": f"{cpu}m",
        "memory_limit_mib": str(memory),
        "memory_per_worker_mib": str(per_worker),
        "workload": workload,
    }
    assume(not evaluate("memory_limit_mib", "validator", context))
    context["cpu_cores"] = float(evaluate("cpu_cores", "default", context))
    context["workers"] = int(evaluate("workers", "default", context))
    return context


capacities = st.builds(
    answered,
    st.integers(100, 256_000),
    st.integers(64, 1_048_576),
    st.integers(32, 65_536),
    st.sampled_from(["io", "cpu"]),
)


@given(capacities)
@settings(max_examples=300, deadline=None)
def test_the_questionnaire_counts_the_workers_that_the_service_starts(
    context: dict[str, Any],
) -> None:
    """Where the machine has as much as the answers say."""
    answers = chassis("answers").Answers(
        service_name="a",
        description="a",
        template_version="1",
        cpu_limit=context["cpu_cores"],
        memory_limit_mib=int(context["memory_limit_mib"]),
        memory_per_worker_mib=int(context["memory_per_worker_mib"]),
        workload=context["workload"],
        request_timeout_seconds=15,
        drain_seconds=10,
        keepalive_seconds=5,
    )
    limits = chassis("capacity.cgroup").Limits()
    assert (
        chassis("capacity.sizing").size(answers, limits, None, None).workers == context["workers"]
    )


@given(capacities, st.integers(1, 1000), st.integers(1, 1_000_000) | st.integers(1, 2000))
@settings(max_examples=300, deadline=None)
def test_the_questionnaire_refuses_what_the_service_would_refuse(
    context: dict[str, Any], replicas: int, most: int
) -> None:
    """And what it advises is the least that both of them take."""
    asking = {**context, "replicas_max": str(replicas), "database_max_connections": str(most)}
    complaint = evaluate("database_max_connections", "validator", asking)

    def pool(connections: int) -> Any:
        return chassis("database.pool_size").size_pool(
            workers=context["workers"],
            replicas_max=replicas,
            max_connections=connections,
            override=None,
        )

    assert bool(complaint) == bool(pool(most).refusal)
    if complaint:
        advised = int(re.findall(r"give at least (\d+)", complaint)[0])
        assert f"need at least {advised}:" in " ".join(pool(most).refusal.split())
        assert pool(advised).size == 1
        assert pool(advised - 1).size == 0
