"""What can go wrong for a user goes wrong, and what is printed then is what the page says."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import support
import yaml
from boot.fixtures import booting
from boot.harness import Ports, eventually
from sessions import Session, steps

pytestmark = pytest.mark.boot

PAGE = (support.REPOSITORY / "docs/troubleshooting.md").read_text("utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^### (.+)\n((?:(?!^##).*\n)*)", PAGE, re.MULTILINE))

TOOLS = (
    "awk bash cat cut date dirname env git grep ls make mkdir mktemp od rm sed seq sh sleep stty tr"
)
NO_SERVER = "127.0.0.1:1"
EVERY_SETTING = {
    "DATABASE_URL": f"postgresql://payments:secret@{NO_SERVER}/payments",
    "REDIS_URL": f"redis://{NO_SERVER}",
    "JWT_ISSUER": "https://issuer.example",
    "JWT_AUDIENCE": "payment-api",
    "JWT_JWKS_URL": f"http://{NO_SERVER}/jwks.json",
}
OLD_PYTHON = """\
#!/bin/sh
# Says of itself that it is 3.10: to what it runs, and to uv, which has it print a description.
if [ "$1" = -c ]; then
    exec {python} -c 'import sys; sys.version_info = (3, 10, 9); exec(sys.argv[1])' "$2"
fi
{python} "$@" | sed 's/{version}\\.[0-9]*/3.10.9/g; s/{version}/3.10/g'
"""
NO_COMPOSE = '#!/bin/sh\n[ "$1" = version ]\n'


@dataclass
class Stage:
    """Where a symptom is provoked."""

    folder: Path
    render: Callable[..., Path]
    installed: Callable[..., Path]
    ports: Ports
    stack: ExitStack

    def service(self, answers: Mapping[str, str] | None = None) -> Path:
        """A service that was just made; nothing is installed yet."""
        return self.render(self.folder / "payment-api", answers)

    def only(self, *tools: str, **programs: str) -> dict[str, str]:
        """An environment with no programs but the usual ones, these, and these scripts."""
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        searched = support.clean_environment()["PATH"]
        for name in (*TOOLS.split(), *tools):
            found = shutil.which(name, path=searched)
            assert found, f"{name} isn't installed"
            (bin_folder / name).symlink_to(os.path.realpath(found))
        for name, text in programs.items():
            (bin_folder / name).write_text(text)
            (bin_folder / name).chmod(0o755)
        return {"PATH": str(bin_folder)}

    def listening(self) -> dict[str, str]:
        """Addresses that are free, for one service."""
        traffic, management = self.ports.take(), self.ports.take()
        return {
            "BIND_ADDRESS": f"0.0.0.0:{traffic}",
            "MANAGEMENT_BIND_ADDRESS": f"0.0.0.0:{management}",
        }


@dataclass
class Situation:
    """Somebody's folder, environment, and what they type instead of what the page has."""

    folder: Path
    environment: Mapping[str, str | None]
    instead: Mapping[str, str]


Provoke = Callable[[Stage], Situation]
SITUATIONS: dict[str, Provoke] = {}


def situation(title: str) -> Callable[[Provoke], Provoke]:
    """What is so when the page's section of this title is about it."""

    def add(provoke: Provoke) -> Provoke:
        SITUATIONS[title] = provoke
        return provoke

    return add


def old_python() -> str:
    """A program that passes for Python 3.10."""
    version = f"{sys.version_info.major}\\.{sys.version_info.minor}"
    return OLD_PYTHON.format(python=os.path.realpath(sys.executable), version=version)


@situation("Copier is too old")
def _(stage: Stage) -> Situation:
    template = support.copy_template(stage.folder / "ballast")
    file = template / "copier.yml"
    text = file.read_text("utf-8")
    needed = yaml.safe_load(text.partition("\n---")[0])["_min_copier_version"]
    file.write_text(text.replace(needed, "99.0.0"), "utf-8")
    support.commit_all(template, "The template as it stands", support.FIRST_TAG)
    return Situation(stage.folder, {}, {needed: "99.0.0", "<this repository>": "ballast"})


@situation("An answer is refused")
def _(stage: Stage) -> Situation:
    support.clone_template(stage.folder / "ballast")
    return Situation(stage.folder, {}, {"<this repository>": "ballast"})


@situation("This repository's make finds an old Python")
def _(stage: Stage) -> Situation:
    template = support.copy_template(stage.folder / "ballast")
    return Situation(template, stage.only(python3=old_python()), {})


@situation("No Python is new enough")
def _(stage: Stage) -> Situation:
    environment = {
        **stage.only("uv", python3=old_python()),
        "UV_PYTHON": None,
        "UV_PYTHON_INSTALL_DIR": str(stage.folder / "none"),
    }
    return Situation(stage.service(), environment, {})


@situation("uv is missing, and there is no network")
def _(stage: Stage) -> Situation:
    environment = {
        **stage.only("python3"),
        "PIP_INDEX_URL": f"http://{NO_SERVER}/simple",
        "PIP_FIND_LINKS": None,
        "PIP_EXTRA_INDEX_URL": None,
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }
    return Situation(stage.service(), environment, {})


@situation("uv.lock is missing")
def _(stage: Stage) -> Situation:
    return Situation(stage.service({"archetype": "minimal"}), {}, {})


@situation("Docker is missing")
def _(stage: Stage) -> Situation:
    return Situation(stage.service(), stage.only("uv"), {})


@situation("Docker's engine doesn't answer")
def _(stage: Stage) -> Situation:
    support.require_engine("docker")
    environment = {**stage.only("uv", "docker"), "DOCKER_HOST": f"unix://{stage.folder}/none"}
    return Situation(stage.service(), environment, {})


@situation("Compose is missing")
def _(stage: Stage) -> Situation:
    return Situation(stage.service(), stage.only("uv", docker=NO_COMPOSE), {})


@situation("kubectl is missing")
def _(stage: Stage) -> Situation:
    return Situation(stage.service(support.EVERY_FEATURE), stage.only("uv"), {})


@situation("The port is taken")
def _(stage: Stage) -> Situation:
    project = stage.installed()
    database = {"DATABASE_URL": f"sqlite:///{stage.folder}/payments.db"}
    first = stage.stack.enter_context(booting(project, stage.ports))(ready=False, **database)
    eventually(lambda: first.ask("/livez").status == 200, what="the first service's start")
    other = stage.listening()
    return Situation(
        project,
        {**database, **other, "BIND_ADDRESS": f"0.0.0.0:{first.port}"},
        {
            "0.0.0.0:8000": f"0.0.0.0:{first.port}",
            "0.0.0.0:8001": other["BIND_ADDRESS"],
            "0.0.0.0:9001": other["MANAGEMENT_BIND_ADDRESS"],
        },
    )


@situation("A secret is missing")
def _(stage: Stage) -> Situation:
    environment = {**EVERY_SETTING, **stage.listening(), "DATABASE_URL": None}
    return Situation(stage.installed(support.EVERY_FEATURE), environment, {})


@situation("A setting is wrong")
def _(stage: Stage) -> Situation:
    environment = {**EVERY_SETTING, **stage.listening()}
    return Situation(stage.installed(support.EVERY_FEATURE), environment, {})


@situation("The database is down")
def _(stage: Stage) -> Situation:
    addresses = stage.listening()
    return Situation(
        stage.installed(support.EVERY_FEATURE),
        {**EVERY_SETTING, **addresses},
        {
            "localhost:8000": addresses["BIND_ADDRESS"],
            "localhost:9000": addresses["MANAGEMENT_BIND_ADDRESS"],
        },
    )


@situation("The database isn't migrated")
def _(stage: Stage) -> Situation:
    project = stage.installed()
    database = {"DATABASE_URL": f"sqlite:///{stage.folder}/payments.db"}
    service = stage.stack.enter_context(booting(project, stage.ports))(ready=False, **database)
    eventually(lambda: service.ask("/livez").status == 200, what="the start")
    return Situation(project, database, {"localhost:9000": f"localhost:{service.management_port}"})


@pytest.fixture
def stage(
    tmp_path: Path, render: Callable[..., Path], installed: Callable[..., Path], ports: Ports
) -> Iterator[Stage]:
    """A folder of its own, and what ends when the test does."""
    with ExitStack() as stack:
        yield Stage(tmp_path, render, installed, ports, stack)


@contextmanager
def session(given: Situation) -> Iterator[Session]:
    """Somebody in that situation."""
    started = Session(given.folder, given.instead, columns=400, may_fail=True)
    for name, value in given.environment.items():
        started.environment.pop(name, None)
        if value is not None:
            started.environment[name] = value
    try:
        yield started
    finally:
        started.close()


def test_each_symptom_is_provoked() -> None:
    """None is on the page that isn't here, and none here that isn't on the page."""
    assert list(SECTIONS) == list(SITUATIONS)
    for title, section in SECTIONS.items():
        assert list(steps(section)), f"{title} shows nothing"
    assert PAGE.count("\n```console\n") == sum(map(blocks, SECTIONS.values()))


def blocks(section: str) -> int:
    """How many blocks a section has."""
    return section.count("```console\n")


@pytest.mark.parametrize("title", SITUATIONS)
def test_what_is_printed_is_what_the_page_says(title: str, stage: Stage) -> None:
    """Word for word, and what is to be done about it does help where it is typed as well."""
    with session(SITUATIONS[title](stage)) as somebody:
        assert somebody.follow(SECTIONS[title]) > 0
