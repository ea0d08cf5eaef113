"""Items about what is installed into the image that runs."""

from collections.abc import Iterator

from ..dockerfile import Dockerfile, Instruction
from ..item import Finding, Item, failed, passed, skipped
from ..place import Place
from ..project import Project
from ..shell_words import commands, installed, is_pip_install

GROUP = "Image"

PACKAGES = "deploy/image/packages.txt"
"""What the template's Dockerfile unpacks into the image."""

_BUILD_TOOLS = {
    "autoconf", "automake", "binutils", "build-base", "build-essential", "cargo", "clang", "cmake",
    "cpp", "g++", "gcc", "gfortran", "git", "golang", "libtool", "llvm", "make", "meson",
    "musl-dev", "ninja-build", "pkg-config", "rustc",
}  # fmt: skip
_CONVENIENCES = {"curl", "wget", "vim", "vim-tiny", "nano", "emacs", "telnet", "netcat",
                 "netcat-openbsd", "nmap", "tcpdump", "openssh-client", "sudo"}  # fmt: skip

_NO_DOCKERFILE = "there is no Dockerfile"
_WHOLE_SYSTEM = {"/", "/usr", "/usr/", "/usr/bin", "/usr/bin/"}


def _runs(file: Dockerfile) -> Iterator[tuple[Instruction, list[str]]]:
    """Every command that changes the image that runs."""
    for one in file.final.layers():
        if one.keyword == "RUN":
            words = one.exec_form
            if words is not None:
                yield one, words
            else:
                for command in commands(one.rest):
                    yield one, command


def _installed(project: Project, file: Dockerfile) -> Iterator[tuple[str, Place]]:
    """The packages that the image gets, whichever way."""
    for one, command in _runs(file):
        for name in installed(command) or []:
            yield _bare(name), one.place
    path = project.root / PACKAGES
    copied = any(PACKAGES in one.rest for stage in file.stages for one in stage.instructions)
    if copied and path.is_file():
        for number, line in enumerate(project.files.read(path).splitlines(), start=1):
            for name in line.partition("#")[0].split():
                yield _bare(name), Place(PACKAGES, number)


def _bare(name: str) -> str:
    return name.partition("=")[0].partition(":")[0]


def _is_build_tool(name: str) -> bool:
    version_free = name.rstrip("0123456789.").rstrip("-")
    return name in _BUILD_TOOLS or version_free in _BUILD_TOOLS or name.endswith(("-dev", "-devel"))


def _build_tools(project: Project) -> Iterator[Finding]:
    if (file := project.dockerfile) is None:
        yield skipped(_NO_DOCKERFILE)
        return
    found = [(name, place) for name, place in _installed(project, file) if _is_build_tool(name)]
    for name, place in found:
        yield failed(f"{name} is installed into the image that runs", place)
    for one in file.final.layers():
        whole = one.keyword == "COPY" and "from" in one.flags and one.rest.split()[:1]
        stages = {stage.name for stage in file.stages if stage.name}
        if whole and whole[0] in _WHOLE_SYSTEM and one.flags["from"] in stages:
            text = f"all of {whole[0]} of the stage {one.flags['from']} is copied, tools included"
            yield failed(text, one.place)
    if not found:
        yield passed("no build tools installed")


def _conveniences(project: Project) -> Iterator[Finding]:
    if (file := project.dockerfile) is None:
        yield skipped(_NO_DOCKERFILE)
        return
    found = [(name, place) for name, place in _installed(project, file) if name in _CONVENIENCES]
    for name, place in found:
        yield failed(f"{name} is in the image that runs", place)
    if not found:
        yield passed("none of them installed")


def _recommends(project: Project) -> Iterator[Finding]:
    if (file := project.dockerfile) is None:
        yield skipped(_NO_DOCKERFILE)
        return
    wrong = [
        one
        for one, command in _runs(file)
        if command[0] in ("apt-get", "apt")
        and installed(command)
        and "--no-install-recommends" not in command
    ]
    for one in wrong:
        text = "apt-get installs what packages recommend as well: add --no-install-recommends"
        yield failed(text, one.place)
    if not wrong:
        yield passed("nothing recommended installed")


def _pip_cache(project: Project) -> Iterator[Finding]:
    if (file := project.dockerfile) is None:
        yield skipped(_NO_DOCKERFILE)
        return
    variables = {name for name, (value, _) in file.final.environment().items() if value}
    wrong = [one for one, command in _runs(file) if _keeps_a_cache(one, command, variables)]
    for one in wrong:
        yield failed(
            "its cache stays in the image: install in another stage, or without", one.place
        )
    if not wrong:
        yield passed("no cache left behind")


def _keeps_a_cache(one: Instruction, command: list[str], variables: set[str]) -> bool:
    if "type=cache" in one.flags.get("mount", ""):
        return False
    if is_pip_install(command):
        return "--no-cache-dir" not in command and "PIP_NO_CACHE_DIR" not in variables
    if command[0].rpartition("/")[2] == "uv" and {"sync", "install"} & set(command):
        return not {"--no-cache", "-n"} & set(command) and "UV_NO_CACHE" not in variables
    return False


ITEMS = (
    Item(
        id="build-tools",
        group=GROUP,
        title="No build tools in the image that runs",
        why="A compiler is the first thing that an attacker installs. Spare him the trouble, and "
        "every node the megabytes.",
        mend="Install them in the builder's stage: deploy/image/build-packages.txt.",
        check=_build_tools,
    ),
    Item(
        id="conveniences",
        group=GROUP,
        title="No curl, wget or vim in the image that runs",
        why="They fetch and edit for whoever gets in. A health check doesn't need them: "
        "healthcheck.py asks by itself.",
        mend="Take them out; for a look inside use a debugging container (docs/container.md of the "
        "template).",
        check=_conveniences,
    ),
    Item(
        id="recommends",
        group=GROUP,
        title="No recommended packages in the image that runs",
        why="What Debian recommends on top is often ten times what was asked for.",
        mend="apt-get install --no-install-recommends.",
        check=_recommends,
    ),
    Item(
        id="pip-cache",
        group=GROUP,
        title="No cache of pip or uv in the image that runs",
        why="Every wheel would be in the image twice.",
        mend="pip install --no-cache-dir, or RUN --mount=type=cache, or install in another stage.",
        check=_pip_cache,
    ),
)
