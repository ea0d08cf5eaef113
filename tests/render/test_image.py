"""The image and the compose file agree with the answers, with the chassis, and with the linters."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import questionnaire
import support
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from questionnaire import answer
from scanners import scan
from template_chassis import chassis

VARIANTS = {
    "defaults": {},
    "slim": {"base_image": "slim", "archetype": "inference", "python_version": "3.11"},
    "servers": {
        "database": "postgresql",
        "events": "redis",
        "auth": "jwt",
        "cpu_limit": "500m",
        "memory_limit_mib": "512",
        "request_timeout_seconds": "60",
        "drain_seconds": "30",
        "keepalive_seconds": "75",
    },
    "minimal": {"archetype": "minimal", "base_image": "slim", "python_version": "3.12"},
}


@pytest.fixture(scope="module", params=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> str:
    """The name of a variant."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def project(
    variant: str, render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The variant, rendered."""
    return render(tmp_path_factory.mktemp(variant) / "service", VARIANTS[variant])


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    """Its compose file."""
    found: dict[str, Any] = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))
    return found


def test_hadolint_is_content(project: Path) -> None:
    """No finding, but for those that the Dockerfile excepts."""
    done = scan("hadolint", "--no-color", project / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_checkov_is_content(project: Path) -> None:
    """No finding, but for the one that the Dockerfile excepts."""
    options = ("--framework", "dockerfile", "--compact", "--quiet", "--skip-download")
    done = scan("checkov", *options, "--file", project / "Dockerfile", timeout=280)
    assert re.search(r"Passed checks: \d{2,}, Failed checks: 0, Skipped checks: 1", done.stdout)
    assert done.returncode == 0


def test_each_exception_says_why(project: Path) -> None:
    """A rule that is switched off is named in a comment before it, with a reason."""
    text = (project / "Dockerfile").read_text("utf-8")
    assert re.findall(r"checkov:skip=\w+(.*)", text) == [
        ": it doesn't look into ARG; both images are pinned by tag and digest"
    ]
    for rules in re.findall(r"hadolint ignore=(\S+)", text):
        for rule in rules.split(","):
            assert re.search(rf"^# {rule}: \w+", text, re.MULTILINE)


def test_every_image_is_pinned(project: Path, compose: dict[str, Any]) -> None:
    """The bases by tag and digest; those of others by a version that a variable replaces."""
    text = (project / "Dockerfile").read_text("utf-8")
    bases = re.findall(r"^ARG \w+_IMAGE=(.*)", text, re.MULTILINE)
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}", base)
        assert ":latest" not in base
    for name, service in compose["services"].items():
        own = "IMAGE:-" in service["image"] and "_IMAGE" not in service["image"]
        assert own or re.fullmatch(
            r"\$\{[A-Z]+_IMAGE:-[a-z/]+:v?\d+\.\d+(\.\d+)?\}", service["image"]
        ), name


def test_the_context_holds_what_is_copied_and_nothing_else(project: Path) -> None:
    """An allow-list: secrets, tests and caches can't get in by being forgotten."""
    rules = (project / ".dockerignore").read_text("utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")}
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)", (project / "Dockerfile").read_text(), re.M):
        copied.update(source.replace("uv.loc[k]", "uv.lock") for source in line.split()[:-1])
    seen = {re.sub("^(deploy/image|src)/.*", r"\1", source) for source in copied}
    assert seen == allowed
    for path in copied - {"uv.lock"}:
        assert (project / path).exists()


def test_every_file_that_is_mounted_exists(project: Path, compose: dict[str, Any]) -> None:
    """Nothing mounts what nothing makes."""
    made = set(re.findall(r"^\$\(SECRETS\)/(\w+):", (project / "Makefile").read_text(), re.M))
    for secret in compose.get("secrets", {}).values():
        path = Path(secret["file"])
        assert str(path.parent) == "deploy/compose/secrets"
        assert path.name in made
    volumes = compose["volumes"]
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (project / source).exists()
        for name in service.get("secrets", []):
            assert name in compose["secrets"]
        for file in service.get("env_file", []):
            assert (project / file).exists()
        for other in service.get("depends_on", {}):
            assert other in compose["services"]
        for network in service.get("networks", {}):
            assert network in compose["networks"]


def test_docker_compose_takes_the_file(project: Path) -> None:
    """The real program finds nothing to complain about, with each profile."""
    program = support.require_engine("docker-compose")
    command = [program, "--profile", "monitoring", "config", "--quiet"]
    done = support.run(command, project, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_container_is_narrow(compose: dict[str, Any]) -> None:
    """Read-only, without capabilities, bounded, and somebody other than root."""
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["pids_limit"], name
        assert "user" in service or "IMAGE:-" in service["image"], name
        assert not service.get("privileged")


def test_compose_follows_the_answers(variant: str, project: Path, compose: dict[str, Any]) -> None:
    """Limits, grace periods and nginx's times are those that the answers give."""
    answers = answer(VARIANTS[variant])
    replicas = [name for name in compose["services"] if name.startswith("app")]
    assert replicas == (["app"] if answers["sqlite"] else ["app-1", "app-2"])
    for name in replicas:
        replica = compose["services"][name]
        assert replica["stop_grace_period"] == f"{answers['termination_grace_seconds']}s"
        assert f":-{answers['memory_limit_mib']}m}}" in replica["mem_limit"]
        assert f":-{answers['cpu_cores']}}}" in replica["cpus"]
        servers = {"migrate": answers["sql"], "redis": answers["redis"]}
        assert set(replica.get("depends_on", ())) == {name for name in servers if servers[name]}
    # What depends on a replica would be replaced with it.
    assert "depends_on" not in compose["services"]["nginx"]
    assert ("postgres" in compose["services"]) == answers["postgresql"]
    assert ("redis" in compose["services"]) == answers["redis"]

    nginx = (project / "deploy/compose/nginx.conf").read_text()
    assert re.findall(r"server (app\S*):8000", nginx) == replicas
    assert f"keepalive_timeout {answers['proxy_keepalive_ms']}ms;" in nginx
    reading = int(re.findall(r"proxy_read_timeout (\d+)s", nginx)[0])
    assert reading > max(int(answers["request_timeout_seconds"]), 30)


@given(st.integers(1, 300), st.integers(3, 120), st.integers(1, 600))
@settings(max_examples=60, deadline=None)
def test_the_durations_are_the_chassis_own(request: int, drain: int, keepalive: int) -> None:
    """For all legal answers: who waits for whom, and proxies let go of connections first."""
    given_answers = {
        "archetype": "minimal",
        "request_timeout_seconds": request,
        "drain_seconds": drain,
        "keepalive_seconds": keepalive,
    }
    context = answer(given_answers)
    asked = chassis("answers").Answers(
        service_name="a",
        description="a",
        template_version="1",
        cpu_limit=2,
        memory_limit_mib=1024,
        memory_per_worker_mib=150,
        workload="io",
        request_timeout_seconds=request,
        drain_seconds=drain,
        keepalive_seconds=keepalive,
        replicas_max=2,
    )
    budget = chassis("capacity.budget").ShutdownBudget.from_answers(asked)
    services = yaml.safe_load(rendered("compose.yaml", context))["services"]
    for name in ("nginx", "app-1", "app-2"):
        assert services[name]["stop_grace_period"] == f"{budget.termination_grace}s"
    check = services["app-1"]["healthcheck"]
    assert check["start_period"] == f"{chassis('capacity.budget').STARTUP_BUDGET_SECONDS}s"
    patience = chassis("server.healthcheck").TIMEOUT_SECONDS
    assert budget.readiness_check_timeout < patience < seconds(check["timeout"])

    nginx = rendered("deploy/compose/nginx.conf", context)
    idle = duration(nginx, "keepalive_timeout")
    assert 0.5 < idle < min(keepalive, drain)
    assert duration(nginx, "proxy_read_timeout") > max(request, stream_idle())
    assert duration(nginx, "proxy_send_timeout") > request


def stream_idle() -> float:
    """The silence that a stream may keep by default; the settings need a service to be imported."""
    path = Path(chassis("answers").__file__).with_name("settings") / "__init__.py"
    pattern = r"stream_idle_seconds: float = _number\((\d+),"
    (found,) = re.findall(pattern, path.read_text("utf-8"))
    return float(found)


def rendered(path: str, context: dict[str, Any]) -> str:
    """A file of the compose overlay with these answers."""
    text: str = questionnaire.rendered(f"{{% if compose %}}.{{% endif %}}/{path}.jinja", context)
    return text


def seconds(text: str) -> float:
    """A duration as compose.yaml and nginx.conf have it, in whole seconds or milliseconds."""
    ((number, unit),) = re.findall(r"^(\d+)(m?s)$", text)
    return int(number) / {"s": 1, "ms": 1000}[unit]


def duration(configuration: str, directive: str) -> float:
    """What a directive of nginx says, once."""
    (found,) = re.findall(rf"^ *{directive} (\w+);", configuration, re.MULTILINE)
    return seconds(found)
