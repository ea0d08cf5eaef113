"""What the how-to pages have one write is accepted by what reads it."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docs_code
import pytest
import sessions
import support
import yaml

FOLDER = support.REPOSITORY / "docs/how-to"
DEPLOY = (FOLDER / "deploy.md").read_text("utf-8")
ASSIGNMENT = re.compile(r"[A-Z_]+=\S+")
ANSWER = re.compile(r"-d (\w+_seconds=\d+)")
CLOUD_RUN_SECONDS = 10
"""Between SIGTERM and SIGKILL, there."""

CHECK = """
import sys
from dataclasses import replace
from payment_api.settings import Settings

given = (word.split("=") for word in sys.argv[1:])

class Answered(Settings):
    answers = replace(Settings.answers, **{name: int(number) for name, number in given})

budget = Answered().budget
print(budget.drain + budget.linger + budget.request + budget.close, *Settings.model_fields)
"""


def settings() -> Iterator[tuple[str, list[str], list[str]]]:
    """The blocks of environment variables, by page and line, with their section's answers."""
    for page in sorted(FOLDER.glob("*.md")):
        text = page.read_text("utf-8")
        for block in docs_code.blocks(text, "sh"):
            lines = block.code.splitlines()
            if all(ASSIGNMENT.fullmatch(line) for line in lines):
                above = "\n".join(text.splitlines()[: block.line]).rpartition("\n## ")[2]
                yield f"{page.name}:{block.line}", lines, ANSWER.findall(above)


@pytest.mark.parametrize(
    ("place", "lines", "answers"), list(settings()), ids=lambda it: str(it)[:40]
)
def test_the_settings_are_accepted(
    place: str, lines: list[str], answers: list[str], installed: Callable[..., Path]
) -> None:
    """Each of them is a setting that there is, and they fit together, and with the answers."""
    command = ["env", *lines, ".venv/bin/python", "-c", CHECK, *answers]

    seconds, *known = support.run(command, installed()).stdout.upper().split()

    assert {line.partition("=")[0] for line in lines} <= set(known), place
    if answers:  # those of Cloud Run alone
        assert float(seconds) < CLOUD_RUN_SECONDS


def directives(text: str) -> list[str]:
    """Lines of nginx' configuration, without remarks; addresses are those of the template."""
    text = re.sub(r" *#.*", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [re.sub(r"^server [\d.]+:", "server app-1:", line) for line in lines]


def test_what_nginx_is_told_is_what_the_template_tells_it(
    render: Callable[..., Path], tmp_path: Path
) -> None:
    """Each directive of the page stands in the service's own nginx.conf."""
    project = render(tmp_path / "service", {"database": "postgresql"})
    shipped = directives((project / "deploy/compose/nginx.conf").read_text("utf-8"))
    (block,) = docs_code.blocks(DEPLOY, "nginx")

    others = set(directives(block.code)) - set(shipped)

    # There each of them has a problem document as well.
    assert others == {"return 502;"}
    assert "keepalive_timeout 4000ms;" in directives(block.code)


def test_nginx_takes_what_the_page_has(tmp_path: Path) -> None:
    """The program itself says that it is sound."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    program = program or support.require_engine("nginx")
    (block,) = docs_code.blocks(DEPLOY, "nginx")
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\nhttp {{\n{block.code}}}\n"
    )

    support.run([program, "-t", "-q", "-e", tmp_path / "log", "-c", file], tmp_path)


def test_the_ingress_leads_to_the_service(render: Callable[..., Path], tmp_path: Path) -> None:
    """By its name, and that of its port; and the certificate is for the host."""
    project = render(tmp_path / "service", {"database": "postgresql"})
    base = project / "deploy/kubernetes/base"
    service = yaml.safe_load((base / "service.yaml").read_text("utf-8"))
    (ingress,) = [yaml.safe_load(block.code) for block in docs_code.blocks(DEPLOY, "yaml")]

    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]

    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
    assert [rule["host"]] == [host for tls in ingress["spec"]["tls"] for host in tls["hosts"]]


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """systemd-analyze finds nothing to complain of, with the programs that there are here."""
    if not shutil.which("systemd-analyze"):
        support.require_engine("systemd-analyze")
    files = [step for step in sessions.steps(DEPLOY) if isinstance(step, sessions.File)]
    (unit,) = [file for file in files if file.name.endswith(".service")]
    text = re.sub(r"/srv/payment-api/\.venv/bin/\w+", "/bin/true", unit.content)
    assert text.count("/bin/true") == 2
    file = tmp_path / unit.name
    file.write_text(text.replace("/srv/payment-api", "/"), "utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
