"""The image: small, built from cache, and a service that runs in the narrowest container (J1)."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import support
from boot.fixtures import Lossless
from boot.harness import ask, eventually
from boot.load import Load, Reply, burst, request
from container.conftest import BuildImage, Built, Sizes
from container.engine import HARDENED, Container, Engine

pytestmark = pytest.mark.container

DESCRIPTION = "Says \"$HOME\", `pwd`, \\ and 'it' # 100 %"
SHELLS = "[p for p in ('/bin/sh', '/usr/bin/sh', '/bin/bash', '/usr/bin/apt') if os.path.exists(p)]"
LEFTOVERS = (
    "import importlib.util as u, os, shutil; "
    "print([n for n in ('pip', 'uv', 'pytest', 'ruff', 'mypy') if u.find_spec(n)], "
    "[n for n in ('pip', 'uv', 'gcc', 'strip', 'git', 'curl') if shutil.which(n)], "
    "sorted(n for n in os.listdir('/app')))"
)


def test_sizes(default_image: Built, sizes: Sizes) -> None:
    """The default service's own layers are at most 60 MB, the whole image at most 150.

    The page's figures are those of a distroless base; what is ours is as large on any.
    """
    own, whole = sizes(default_image)
    assert own <= 60
    assert whole <= 150
    page = (support.REPOSITORY / "docs/container.md").read_text("utf-8")
    shown = {name: float(size) for size, name in re.findall(r"^ +([\d.]+) MB +(.+)$", page, re.M)}
    assert own == pytest.approx(shown["own layers"], abs=5)
    assert shown["in all"] == pytest.approx(shown["own layers"] + shown["base image"], abs=0.2)


def test_a_second_build_comes_from_the_cache(default_image: Built, engine: Engine) -> None:
    """Nothing is built twice; and a change of the code leaves the dependencies alone."""
    again = engine.build(
        default_image.project,
        default_image.tag,
        "--build-arg=GIT_REVISION=0123abc",
        *default_image.options,
    )
    steps = set(
        re.findall(r"^#\d+ \[((?:packages|dependencies|service|stage)[^\]]*)\]", again, re.M)
    )
    cached = len(re.findall(r"^#\d+ CACHED$", again, re.M))
    # The two first steps only name their base.
    assert cached >= len(steps) - 3, again
    assert not re.search(r"^#\d+ \d+\.\d+ ", again, re.M), "a command ran"

    source = default_image.project / "src/payment_api/wiring.py"
    source.write_text(source.read_text("utf-8") + "# changed\n", "utf-8")
    changed = engine.build(
        default_image.project, "ballast-test/changed:latest", *default_image.options
    )
    assert _cached(changed, "COPY --from=dependencies"), changed


def _cached(log: str, step: str) -> bool:
    number = re.findall(rf"^#(\d+) \[.*{re.escape(step)}", log, re.M)[-1]
    return f"#{number} CACHED" in log


def test_slim_is_below_200_mb(build_image: BuildImage, engine: Engine, sizes: Sizes) -> None:
    """With a shell, but without pip and the tools of the build."""
    image = build_image("slim", {"base_image": "slim", "archetype": "minimal"})
    _, whole = sizes(image)
    assert whole < 200
    left = engine("run", "--rm", image.tag, "python", "-c", LEFTOVERS)
    assert left == "[] [] ['.venv', 'gunicorn.conf.py', 'healthcheck.py']"
    with engine.run(image.tag, *HARDENED) as container:
        container.wait_ready()


def test_nothing_is_in_it_but_the_service(default_image: Built, engine: Engine) -> None:
    """No shell, no package manager, no tools, no tests, no lock; the user is nobody."""
    run = ("run", "--rm", default_image.tag, "python", "-c")
    assert engine(*run, f"import os; print({SHELLS}, os.getuid(), os.getgid())") == "[] 1001 1001"
    assert engine(*run, LEFTOVERS) == (
        "[] [] ['.venv', 'alembic.ini', 'data', 'gunicorn.conf.py', 'healthcheck.py', 'migrations']"
    )
    shell = engine(*run, "import pwd; print(pwd.getpwuid(1001).pw_shell)")
    assert shell == "/usr/sbin/nologin"


def test_everything_is_compiled(default_image: Built, engine: Engine) -> None:
    """What a start loads has its bytecode, which a read-only container couldn't keep."""
    loaded = (
        "import sys, payment_api.answers, payment_api.chassis.server.worker, gunicorn.app.wsgiapp; "
        "from os.path import exists; "
        "print([n for n, m in sys.modules.items() if getattr(m, '__cached__', None) "
        "and (m.__file__ or '').endswith('.py') and not exists(m.__cached__)])"
    )
    assert engine("run", "--rm", default_image.tag, "python", "-c", loaded) == "[]"


def test_a_missing_lock_is_named(
    engine: Engine, default_image: Built, tmp_path: Path, render: Callable[..., Path]
) -> None:
    """The build ends with the command that makes it."""
    project = render(tmp_path / "service")
    log = engine.build(project, "ballast-test/none", *default_image.options, check=False)
    assert "uv.lock is missing: run 'uv lock'" in log
    assert not engine.has("ballast-test/none")


@pytest.fixture(scope="module")
def minimal_image(build_image: BuildImage) -> Built:
    """The smallest service, with a description that has all the quotes there are."""
    return build_image("minimal", {"archetype": "minimal", "description": DESCRIPTION})


def test_description_and_revision(engine: Engine, minimal_image: Built) -> None:
    """The labels hold the description as it is; `/info` says what was built."""
    with engine.run(minimal_image.tag) as container:
        labels = container.inspect()["Config"]["Labels"]
        assert labels["org.opencontainers.image.description"] == DESCRIPTION
        assert labels["org.opencontainers.image.revision"] == "0123abc"
        container.wait_ready()
        assert container.manage("/info").json()["git_revision"] == "0123abc"


def master(container: Container) -> str:
    """The name of process 1."""
    return container.execute("python", "-c", "print(open('/proc/1/cmdline').read())")


def test_the_narrowest_container(lab_image: Built, engine: Engine) -> None:
    """Read-only, without capabilities, as any user: workers as the limits allow, and healthy."""
    with engine.run(lab_image.tag, *HARDENED, "--health-interval=1s") as container:
        container.wait_ready()
        sizing = container.manage("/info").json()["workers"]["sizing"]
        assert (sizing["workers"], sizing["bound"]) == (2, "memory")
        assert (sizing["cpu"], sizing["memory_mib"]) == (1, 512)
        assert (sizing["cpu_source"], sizing["memory_source"]) == ("cgroup", "cgroup")
        assert "gunicorn" in master(container)

        eventually(lambda: container.inspect()["State"]["Health"]["Status"] == "healthy", 10)
        ask(container.port, "/break-liveness")
        check = ("python", "-IS", "/app/healthcheck.py")
        assert container.execute(*check, "ready", check=False).startswith("200")
        assert container.execute(*check, check=False).startswith("503")
        eventually(lambda: container.inspect()["State"]["Health"]["Status"] == "unhealthy", 20)


def test_the_commands_of_the_page(default_image: Built, engine: Engine) -> None:
    """As they stand there they start the default service, on a database that is migrated first."""
    page = (support.REPOSITORY / "docs/container.md").read_text("utf-8")
    (block,) = re.findall(r"^```console\n(\$ docker run .*?)^```$", page, re.MULTILINE | re.DOTALL)
    volume = f"ballast-test-{uuid.uuid4().hex[:12]}"
    block = block.replace("payments:", f"{volume}:").replace("--publish 8000:8000", "")
    block = block.replace("\\\n", "")
    migrate, serve = (shlex.split(each)[2:] for each in block.split("$ ")[1:])
    assert migrate.index("payment-api") == migrate.index("alembic") - 1
    assert serve.pop() == "payment-api"
    try:
        engine("run", *(default_image.tag if word == "payment-api" else word for word in migrate))
        with engine.run(default_image.tag, *serve) as container:
            container.wait_ready()
    finally:
        engine("volume", "rm", "--force", volume)


def test_a_stop_under_load_loses_nothing(
    lab_image: Built, engine: Engine, lossless: Lossless
) -> None:
    """`docker stop`: what is running, kept or new during the drain is answered; it exits with 0."""
    slow: list[Reply] = []
    with engine.run(lab_image.tag, *HARDENED) as container:
        container.wait_ready()
        with Load(container.port) as load:
            load.reach(300)
            waiting = threading.Thread(
                target=lambda: slow.extend(burst(container.port, 4, request("/work?ms=5500")))
            )
            waiting.start()
            load.pass_by(50)
            stop = [engine.program, "stop", "--time=45", container.name]
            stopping = subprocess.Popen(stop, stdout=subprocess.DEVNULL)
            eventually(lambda: container.manage("/health/ready").status == 503, 3)
            load.pass_by(200)
            time.sleep(0.5)
            load.stop()  # inside the drain; new connections are refused after it, rightly
        waiting.join()
        assert stopping.wait(40) == 0
        assert container.inspect()["State"]["ExitCode"] == 0
        levels = {line["level"] for line in container.logs()}
    lossless(load, at_least=550)
    assert [reply.status for reply in slow] == [200] * 4
    assert levels <= {"debug", "info"}


def test_a_worker_that_eats_the_memory(lab_image: Built, engine: Engine) -> None:
    """The kernel kills that one; the service goes on, with another in its place."""
    with engine.run(lab_image.tag, *HARDENED) as container:
        container.wait_ready()
        before = {ask(container.port, "/pid").body for _ in range(20)}
        with pytest.raises(ConnectionError):
            ask(container.port, "/gorge", timeout=60)
        eventually(lambda: {ask(container.port, "/pid").body for _ in range(20)} - before, 30)
        assert container.manage("/health/ready").status == 200
        assert container.inspect()["State"]["Running"]
        died = 'worker_exits_total{reason="died"} 1.0'
        assert died in container.manage("/metrics").body.decode()


def test_the_build_takes_packages_that_you_name(engine: Engine, minimal_image: Built) -> None:
    """A shared library that `deploy/image/packages.txt` names can be loaded in the image."""
    image, changed = minimal_image, "ballast-test/packages:latest"
    load = ("python", "-c", "import ctypes; print(ctypes.CDLL('libyaml-0.so.2'))")
    assert "cannot open shared object" in engine("run", "--rm", image.tag, *load, check=False)
    names = image.project / "deploy/image/packages.txt"
    names.write_text(names.read_text() + "libyaml-0-2 # for PyYAML\n")
    engine.build(image.project, changed, *image.options)
    assert "CDLL" in engine("run", "--rm", changed, *load)


def test_all_that_the_service_imports_is_in_its_image(
    default_image: Built, engine: Engine, tmp_path: Path
) -> None:
    """`make image-check` is content, and names the tool of development that a service imports."""
    command = ["make", "image-check", f"DOCKER={engine.program}"]
    support.run([*command, f"IMAGE={default_image.tag}"], default_image.project)

    (tmp_path / "wiring.py").write_text("import pytest\n")
    installed = "/app/.venv/lib/python3.13/site-packages/payment_api/"
    (tmp_path / "Dockerfile").write_text(
        f"FROM {default_image.tag}\nCOPY --chmod=644 wiring.py {installed}\n"
    )
    engine.build(tmp_path, "ballast-test/wrong-import")
    done = support.run(
        [*command, "IMAGE=ballast-test/wrong-import"], default_image.project, check=False
    )
    assert done.returncode != 0
    assert "No module named 'pytest'" in done.stderr


def test_signals_other_than_sigterm(lab_image: Built, engine: Engine) -> None:
    """SIGHUP replaces the workers, and process 1 stays."""
    with engine.run(lab_image.tag, *HARDENED) as container:
        container.wait_ready()
        before = {ask(container.port, "/pid").body for _ in range(20)}
        engine("kill", f"--signal={signal.SIGHUP.name}", container.name)
        eventually(lambda: not before & {ask(container.port, "/pid").body for _ in range(20)}, 20)
        assert container.inspect()["State"]["Running"]
