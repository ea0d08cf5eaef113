"""Items about what the image's process runs as, and how it is started."""

from collections.abc import Iterator

from ..dockerfile import Stage
from ..documents import get
from ..image_name import ImageName
from ..item import Finding, Item, failed, noted, passed, skipped
from ..project import Project
from ..target import Container, KubernetesTarget

GROUP = "Image"

_SHELLS = {"sh", "bash", "dash", "ash", "zsh"}
_ENVIRONMENT = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


def _non_root(project: Project) -> Iterator[Finding]:
    if project.dockerfile is not None:
        yield from _image_user(project.dockerfile.final)
    for target in project.targets:
        for container in target.containers:
            if isinstance(target, KubernetesTarget):
                yield from _pod_user(container, target.name)
            elif str(container.values.get("user", "")).partition(":")[0] in ("0", "root"):
                yield failed(f"{container} runs as root", container.place("user"), target.name)


def _image_user(final: Stage) -> Iterator[Finding]:
    user = final.last("USER")
    base = ImageName.parse(final.image)
    if user is None:
        if base.tag and "nonroot" in base.tag:
            yield passed(f"the base's own user ({base.tag})")
        else:
            yield failed("the image says no USER, so it runs as root", final.place)
        return
    name = user.rest.partition(":")[0].strip()
    if name in ("0", "root"):
        yield failed("the image runs as root", user.place)
    elif not name.isdecimal():
        text = f"USER {name} is a name: Kubernetes can only tell a number from root"
        yield noted(text, user.place)
    else:
        yield passed(f"the image's user is {user.rest.strip()}")


def _pod_user(container: Container, target: str) -> Iterator[Finding]:
    pod = container.path[:-2]
    own, whole = ("securityContext",), (*pod, "securityContext")
    for key, wrong in (("runAsUser", (0,)), ("runAsNonRoot", (False, None))):
        value = get(container.values, *own, key)
        place = container.place(*own, key)
        if value is None:
            value = get(container.root, *whole, key)
            place = Container("", "", container.values, container.root, ()).place(*whole, key)
        if value in wrong and not (key == "runAsUser" and value is None):
            shown = "isn't said" if value is None else f"is {str(value).lower()}"
            yield failed(f"{container}: {key} {shown}", place, target)
    if get(container.values, *own, "privileged"):
        yield failed(f"{container} is privileged", container.place(*own, "privileged"), target)


def _python_environment(project: Project) -> Iterator[Finding]:
    if project.dockerfile is None:
        yield skipped("there is no Dockerfile")
        return
    final = project.dockerfile.final
    variables = final.environment()
    missing = [name for name in _ENVIRONMENT if not variables.get(name, ("",))[0]]
    for name in missing:
        place = variables[name][1] if name in variables else final.place
        yield failed(f"{name} isn't set in the image", place)
    if not missing:
        yield passed("both are set in the image")


def _exec_form(project: Project) -> Iterator[Finding]:
    if project.dockerfile is not None:
        yield from _image_command(project.dockerfile.final)
    for target in project.targets:
        container = target.container
        if container is None:
            continue
        for key in ("command", "entrypoint"):
            words = container.values.get(key)
            if isinstance(words, list) and _is_shell([str(word) for word in words]):
                text = f"{container}: a shell is process 1, and keeps the signals to itself"
                yield failed(text, container.place(key), target.name)


def _image_command(final: Stage) -> Iterator[Finding]:
    command, entry = final.last("CMD"), final.last("ENTRYPOINT")
    entry_words = entry.exec_form if entry else []
    decides = entry if entry is not None and entry_words != [] else command
    if decides is None:
        yield failed("the image has no command", final.place)
    elif decides.exec_form is None:
        text = f"{decides.keyword} is in shell form: a shell gets SIGTERM, and Gunicorn doesn't"
        yield failed(text, decides.place)
    elif _is_shell(decides.exec_form):
        text = f"{decides.keyword} starts a shell, which gets SIGTERM instead of Gunicorn"
        yield failed(text, decides.place)
    else:
        yield passed(f"{' '.join(decides.exec_form)} is process 1")


def _is_shell(words: list[str]) -> bool:
    program = words[0].rpartition("/")[2] if words else ""
    return program in _SHELLS and not any(word.lstrip().startswith("exec ") for word in words)


ITEMS = (
    Item(
        id="non-root",
        group=GROUP,
        title="Nothing runs as root",
        why="Root in the container is root for the kernel: one hole in either, and it is root on "
        "the node.",
        mend="USER 1001:1001 at the end of the Dockerfile, runAsNonRoot: true in the manifest.",
        check=_non_root,
    ),
    Item(
        id="python-env",
        group=GROUP,
        title="PYTHONDONTWRITEBYTECODE and PYTHONUNBUFFERED are set",
        why="Bytecode can't be written to a read-only file system, and buffered output is lost "
        "when a process is killed: the last lines, which are the ones that explain it.",
        mend="ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 in the last stage.",
        check=_python_environment,
    ),
    Item(
        id="exec-form",
        group=GROUP,
        title="Gunicorn is process 1 and gets the signals",
        why="A shell that is process 1 passes no SIGTERM on. Nothing drains, and after the grace "
        "period everything in flight is killed.",
        mend='CMD ["gunicorn"], in exec form; where a shell has to be, end with `exec gunicorn`.',
        check=_exec_form,
    ),
)
