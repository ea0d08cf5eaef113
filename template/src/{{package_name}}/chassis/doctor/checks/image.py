"""Items about how the image is made."""

from collections.abc import Iterator

from ..dockerfile import Dockerfile, Stage
from ..dockerignore import DockerIgnore
from ..image_name import ImageName
from ..item import Finding, Item, failed, noted, passed, skipped
from ..place import Place
from ..project import Project
from ..target import ComposeTarget, KubernetesTarget, is_own_image

GROUP = "Image"

_NO_DOCKERFILE = "there is no Dockerfile"
_PLACEHOLDER = "named-by-the-overlay"
_SLIM = ("slim", "alpine", "distroless", "minimal", "micro", "chiseled")
_FULL = {"python", "debian", "ubuntu", "fedora", "centos", "rockylinux", "almalinux", "pypy"}

_KEPT_OUT = (
    (".git", (".git/config",)),
    (".env", (".env", "src/{package}/.env")),
    ("tests", ("tests/test_it.py",)),
    (
        "caches",
        (
            "src/{package}/__pycache__/main.cpython-313.pyc",
            ".pytest_cache/README.md",
            ".mypy_cache/3.13/cache.db",
            ".ruff_cache/cache",
        ),
    ),
    (".venv", (".venv/bin/python",)),
    ("secrets", ("deploy/compose/secrets/database_url",)),
)
"""What a build must not see, by a file of each kind."""


def _final(project: Project) -> tuple[Dockerfile, Stage] | None:
    file = project.dockerfile
    return (file, file.final) if file is not None else None


def _multi_stage(project: Project) -> Iterator[Finding]:
    if (found := _final(project)) is None:
        yield skipped(_NO_DOCKERFILE)
        return
    file, final = found
    for place in file.unsupported:
        yield noted("a here-document isn't understood here: what it does isn't looked at", place)
    names = {stage.name for stage in file.stages[:-1]} | {
        str(number) for number in range(len(file.stages) - 1)
    }
    sources = {
        one.flags["from"]
        for stage in final.lineage()
        for one in stage.instructions
        if one.keyword == "COPY" and one.flags.get("from") in names
    }
    if sources:
        yield passed(
            f"{len(file.stages)} stages; the image copies from {', '.join(sorted(sources))}"
        )
    else:
        text = "the image is its own builder: nothing is copied from an earlier stage"
        yield failed(text, final.place)


def _full_base(project: Project) -> Iterator[Finding]:
    if (found := _final(project)) is None:
        yield skipped(_NO_DOCKERFILE)
        return
    name = ImageName.parse(found[1].image)
    place = found[1].lineage()[0].place
    words = set(
        f"{name.repository}-{name.tag or ''}".replace("/", "-").replace(":", "-").split("-")
    )
    if name.repository == "scratch" or words & set(_SLIM):
        yield passed(f"{name.repository}:{name.tag}" if name.tag else name.repository)
    elif name.short in _FULL:
        text = f"{found[1].image} is the full image, with compilers and hundreds of packages"
        yield failed(text, place)
    else:
        yield noted(f"{found[1].image} isn't known here: see that it is a small one", place)


def _pinned(project: Project) -> Iterator[Finding]:
    file = project.dockerfile
    stages = file.stages if file is not None else []
    outside = [stage for stage in stages if stage.parent is None and stage.base != "scratch"]
    for stage in outside:
        yield from _pinned_image(stage.base, stage.place, None, wants_digest=True)
    if file is not None:
        names = {stage.name for stage in stages}
        for stage in stages:
            for one in stage.instructions:
                source = one.flags.get("from", "")
                if (
                    one.keyword == "COPY"
                    and source
                    and source not in names
                    and not source.isdigit()
                ):
                    yield from _pinned_image(source, one.place, None, wants_digest=True)
    for target in project.targets:
        for container in target.containers:
            place = container.place("image")
            local = isinstance(target, ComposeTarget)
            if not container.image or (
                local and is_own_image(container.image, project.service_name)
            ):
                continue  # built, or as `make image` has built it
            name = ImageName.parse(container.image)
            if name.tag == _PLACEHOLDER and name.digest is None:
                if not isinstance(target, KubernetesTarget) or target.name != "base":
                    text = f"{container}: no image is named, under `images` of the overlay"
                    yield failed(text, place, target.name)
                continue
            yield from _pinned_image(container.image, place, target.name, wants_digest=False)


def _pinned_image(
    image: str, place: Place, target: str | None, *, wants_digest: bool
) -> Iterator[Finding]:
    name = ImageName.parse(image)
    if name.moves:
        text = f"{image} may be another image tomorrow: name a version and its digest"
        yield failed(text, place, target)
    elif name.digest is None and wants_digest:
        yield noted(f"{image} is pinned by its tag alone: a digest can't be moved", place, target)
    else:
        yield passed("all images pinned", target)


def _dockerignore(project: Project) -> Iterator[Finding]:
    if project.dockerfile is None:
        yield skipped(_NO_DOCKERFILE)
        return
    path = project.root / ".dockerignore"
    if not path.is_file():
        text = "there is no .dockerignore, so a build sees everything"
        yield failed(text, Place(".dockerignore", 1))
        return
    rules = DockerIgnore(project.files.read(path))
    seen = [
        (what, one.format(package=project.package))
        for what, examples in _KEPT_OUT
        for one in examples
        if not rules.leaves_out(one.format(package=project.package))
    ]
    for what, example in seen:
        yield failed(f"a build sees {what}: {example}", Place(".dockerignore", 1))
    if not seen:
        yield passed("leaves out " + ", ".join(what for what, _ in _KEPT_OUT))


ITEMS = (
    Item(
        id="multi-stage",
        group=GROUP,
        title="The image is built in stages",
        why="What builds (compilers, headers, package managers, caches) is what an intruder wants "
        "to find, and it doubles what every node has to pull.",
        mend="Build in one stage, begin another with a slim base, and COPY --from the first one "
        "only what runs.",
        check=_multi_stage,
    ),
    Item(
        id="full-base",
        group=GROUP,
        title="The base image is a small one",
        why="The full image of Python has about 400 Debian packages: a gigabyte, and a list of "
        "vulnerabilities that nobody reads.",
        mend="Take distroless (base_image=distroless) or the -slim variant of the same version.",
        check=_full_base,
    ),
    Item(
        id="pinned-base",
        group=GROUP,
        title="Every image is pinned, none is `latest`",
        why="The same commit has to give the same image next month, and `latest` is whatever "
        "somebody pushed last.",
        mend="Name tag and digest: python:3.13-slim-trixie@sha256:..., and have a bot move them.",
        check=_pinned,
    ),
    Item(
        id="dockerignore",
        group=GROUP,
        title=".dockerignore leaves out .git, caches, tests and .env",
        why="What a build sees gets into layers: history and passwords too, and every change of a "
        "test builds everything anew.",
        mend="Let `.dockerignore` begin with `*` and take back in, with `!`, what the build needs.",
        check=_dockerignore,
    ),
)
