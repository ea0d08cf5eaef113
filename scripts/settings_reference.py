"""Keep the tables in docs/settings.md true: they are made from the chassis' own settings.

Run it with the Python of a generated service that has every feature, in its folder:

    answers='-d database=postgresql -d events=redis -d auth=jwt -d tracing=yes'
    copier copy --defaults $answers . /tmp/full
    cd /tmp/full && uv sync && .venv/bin/python .../scripts/settings_reference.py

With `--check` it changes nothing and fails if the page differs from the code.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "settings.md"
TEMPLATE = REPOSITORY / "template"
END = "<!-- end -->"

PACKAGE = "payment_api"  # the default service's
chassis: Any = import_module(f"{PACKAGE}.chassis.settings")
pydantic: Any = import_module("pydantic")
types: Any = import_module(f"{PACKAGE}.chassis.settings.setting_types")

SECTIONS = {
    "bind_address": "Addresses, workers and logs",
    "drain_seconds": "Time",
    "max_requests": "Capacity and recycling",
    "max_body_bytes": "Requests and callers",
    "docs_enabled": "Documentation, probes and secrets",
}
"""The heading above each of these settings; the order is that of the code."""

FEATURES = [
    ("database", "DatabaseSettings", "Database", "`database=sqlite` or `postgresql`"),
    ("idempotency", "IdempotencySettings", "Idempotency keys", "a database"),
    ("outbox", "OutboxSettings", "Outbox", "a database"),
    ("redis", "RedisSettings", "Redis", "`events=redis`"),
    ("jwt", "JwtSettings", "Tokens", "`auth=jwt`"),
    ("tracing", "TracingSettings", "Traces", "`tracing=yes`"),
]
"""Packages of the chassis that not every service has: their settings, and what brings them."""

SAMPLES = {
    "payments": "The sample of `payments`",
    "inference": "The sample of `inference`",
}
"""Archetypes whose sample has settings, in a `settings.py` that is the user's."""

NEEDED = {
    "DATABASE_URL": "postgresql://localhost/payments",
    "REDIS_URL": "redis://localhost",
    "JWT_ISSUER": "https://issuer.example",
    "JWT_AUDIENCE": "payment-api",
    "JWT_JWKS_URL": "https://issuer.example/jwks.json",
}
"""Without these a service with every feature starts in no case."""

REFUSED: Sequence[Mapping[str, str]] = (
    {"DRAIN_SECONDS": "60"},
    {"TERMINATION_GRACE_SECONDS": "35"},
    {"DRAIN_SECONDS": "5"},
    {"HEALTH_CHECK_TIMEOUT_SECONDS": "5"},
    {"MANAGEMENT_BIND_ADDRESS": "0.0.0.0:8000"},
    {"DATABASE_STATEMENT_TIMEOUT_SECONDS": "20"},
    {"OUTBOX_PUBLISH_TIMEOUT_SECONDS": "10"},
    {"JWT_JWKS_URL": ""},
    {"JWT_ALGORITHMS": "HS256"},
    {"DATABASE_MAX_CONNECTIONS": "50"},
)
"""Settings that are allowed each for itself, but not with the others."""

WORKERS = 5
"""How many there are by the default answers."""

KINDS = {
    types.Address: "address",
    types.Maybe[types.Address]: "address, or empty",
    types.LogLevel: ", ".join(f"`{level}`" for level in get_args(get_args(types.LogLevel)[0])),
    types.Maybe[types.LogFormat]: "`json`, `console` or empty",
    types.Networks: "list of addresses and networks",
    types.HostPatterns: "list of host names",
    types.Origins: "list of origins",
    types.Maybe[int]: "whole number, or empty",
    types.Maybe[chassis.DirectoryPath]: "existing folder, or empty",
    types.Maybe[Path]: "path, or empty",
    types.Maybe[float]: "number, or empty",
    types.Maybe[str]: "text, or empty",
    types.Maybe[pydantic.SecretStr]: "secret, or empty",
    types.Maybe[pydantic.HttpUrl]: "URL, or empty",
    pydantic.SecretStr: "secret",
    Literal["http/protobuf"]: "`http/protobuf`",
    tuple[str, ...]: "list of names",
    Path: "path",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
}
"""What to call each type. One that is missing here is an error: the page has to learn it."""

COMPUTED_DEFAULTS = {
    "worker_tmp_dir": "`/dev/shm` where there is one",
    "database_url": "on SQLite `sqlite:///data/<service>.db`, else it has to be set",
    "jwt_algorithms": "`RS256`",
}


@dataclass(frozen=True)
class Elsewhere:
    """Variables that aren't the service's: where they are read, and what each of them does."""

    title: str
    text: str
    files: Sequence[Path]
    pattern: str
    """How one is written there: its name, and the default where there is one."""
    meanings: Mapping[str, str]


def template_files(pattern: str) -> list[Path]:
    """Files of the template."""
    return sorted(TEMPLATE.glob(pattern))


SERVICE = Path.cwd()
ELSEWHERE = [
    Elsewhere(
        "Compose",
        "In `.env` beside `compose.yaml`, or in the environment of `make up`; those of the service "
        "itself go into `deploy/compose/service.env`.",
        [SERVICE / "compose.yaml"],
        r"\$\{([A-Z_]+):-([^}]+)\}",
        {
            "PORT": "where nginx, and with it the service, is reached on this machine",
            "NETWORK": "the first three numbers of the containers' addresses, another one for each "
            "service on a machine",
            "IMAGE": "the service's image",
            "NGINX_IMAGE": "nginx' image",
            "POSTGRES_IMAGE": "PostgreSQL's image, with that answer",
            "REDIS_IMAGE": "Redis' image, with that answer",
            "PROMETHEUS_IMAGE": "Prometheus' image",
            "PROMETHEUS_PORT": "where Prometheus is reached, by this machine alone",
            "CPU_LIMIT": "processors of each replica, by the answer",
            "MEMORY_LIMIT": "memory of each replica, by the answer",
        },
    ),
    Elsewhere(
        "make",
        "On the command line, as in `make up PROFILE=monitoring`, or in `local.mk`.",
        [SERVICE / "Makefile"],
        r"(?m)^([A-Z_]+) \?= *(\S*)$|\$\((?!CURDIR|MAKEFILE_LIST)([A-Za-z]\w*)\)",
        {
            "IMAGE": "what `make image` calls the image",
            "IMAGE_OPTIONS": "more for its build, such as `--build-arg RUNTIME_IMAGE=...` "
            "([container](container.md#which-base))",
            "DOCKER": "the program that builds and runs images; `podman` works as well",
            "PROMETHEUS_IMAGE": "what `make alerts` takes promtool from where there is none",
            "PROFILE": "`monitoring`: `make up` with Prometheus",
            "overlay": "where `make deploy` deploys to: `staging`, `production`",
            "explain": "the item that `make doctor` tells more about ([doctor](doctor.md))",
            "m": "what `make migration` is for",
            "TO": "the release that `make update` takes ([updates](updates.md))",
            "TRUST": "`1`: `make update` may run migrations",
            "ARGS": "options of `make update` for copier",
            "AUDIT_OPTIONS": "options of `make audit` for uv",
        },
    ),
    Elsewhere(
        "Tests",
        "In the environment of `make test`. Tests that need one of them are skipped without it.",
        sorted(SERVICE.glob("tests/**/*.py")),
        r"(TEST_[A-Z]+_URL)",
        {
            "TEST_DATABASE_URL": "a PostgreSQL for tests, and for `make migration-check`: without "
            "data that matter",
            "TEST_REDIS_URL": "a Redis for tests: without data that matter",
        },
    ),
    Elsewhere(
        "CI",
        "Variables of the repository or the project; the token is a secret.",
        [*template_files("*github*/.github/**/*.jinja"), *template_files("*gitlab*/.gitlab*")],
        r"(TEMPLATE_UPDATE\w*|SKIP_IMAGE)",
        {
            "TEMPLATE_UPDATE": "on GitHub, `off`: no job opens "
            "[updates](updates.md#updates-on-a-schedule)",
            "TEMPLATE_UPDATE_TOKEN": "the token by which they are opened",
            "TEMPLATE_UPDATE_TRUST": "`1`: they may run migrations",
            "SKIP_IMAGE": "on GitLab, `1`: no image is built, where runners aren't privileged",
        },
    ),
]


def rows() -> Iterator[str]:
    """The lines of the tables."""
    for name in chassis.ChassisSettings.model_fields:
        if name in SECTIONS:
            yield from heading(SECTIONS[name])
        yield row(chassis.ChassisSettings, name)
    for module, class_name, title, answer in FEATURES:
        feature = getattr(import_module(f"{PACKAGE}.chassis.{module}"), class_name)
        yield from heading(title, f"In services that were generated with {answer}.")
        for name in own_fields(feature, chassis.ChassisSettings):
            yield row(feature, name)
    for archetype, title in SAMPLES.items():
        settings = settings_of(archetype)
        yield from heading(title, "In `settings.py`, which is yours to change.")
        for name in own_fields(settings, import_module(f"{PACKAGE}.answers").AnsweredSettings):
            yield row(settings, name)
    yield ""


def own_fields(settings: Any, base: Any) -> list[str]:
    """What a class of settings adds to another."""
    return [name for name in settings.model_fields if name not in base.model_fields]


def settings_of(archetype: str) -> Any:
    """The settings of a sample, as the template has them."""
    (path,) = template_files(f"*if {archetype} %*/src/*/settings.py")
    spec = spec_from_file_location(f"{PACKAGE}.settings_of_{archetype}", path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path} can't be imported")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where pydantic looks for what its types are called
    spec.loader.exec_module(module)
    return module.Settings


def refusals() -> Iterator[str]:
    """What the settings of this service say of values that don't fit together."""
    settings = import_module(f"{PACKAGE}.settings").Settings
    yield from ("", "```")
    for given in REFUSED:
        yield " ".join(f"{name}={value}" for name, value in given.items())
        yield f"    {refusal(settings, given)}"
    yield from ("```", "")


def refusal(settings: Any, given: Mapping[str, str]) -> str:
    """The line by which the start is refused."""
    with environment({**NEEDED, **given}):
        try:
            list(chassis.load_settings(settings).boot_lines(WORKERS))
        except chassis.SettingsError as error:
            return str(error)
    raise LookupError(f"{given} are not refused")


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Nothing but these variables."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def others() -> Iterator[str]:
    """The tables of the variables that others read; none is missing, and none too many."""
    for place in ELSEWHERE:
        found = dict(sorted(read_in(place)))
        if set(found) != set(place.meanings):
            raise LookupError(f"{place.title}: {set(found) ^ set(place.meanings)} to be looked at")
        yield from ("", f"## {place.title}", "", place.text, "")
        yield from ("| variable | default | meaning |", "|---|---|---|")
        for name, meaning in place.meanings.items():
            yield f"| `{name}` | {f'`{found[name]}`' if found[name] else ''} | {meaning} |"
    yield ""


def read_in(place: Elsewhere) -> Iterator[tuple[str, str]]:
    """Each variable that is read there, with its default."""
    text = "\n".join(path.read_text("utf-8") for path in place.files)
    defined = set(re.findall(r"(?m)^([A-Z_]+) :?= ", text))
    for found in re.finditer(place.pattern, text):
        name, default, *_ = (*(group for group in found.groups() if group is not None), "")
        if name not in defined:
            yield name, default


def heading(title: str, text: str = "") -> Iterator[str]:
    """What stands above a table."""
    yield from ("", f"## {title}", "")
    if text:
        yield from (text, "")
    yield from ("| variable | type | default | bounds | meaning |", "|---|---|---|---|---|")


def row(settings: Any, name: str) -> str:
    """The line of one setting."""
    field = settings.model_fields[name]
    from_answers = chassis.defaults_from(import_module(f"{PACKAGE}.answers").ANSWERS)
    kind = kind_of(get_type_hints(settings, include_extras=True)[name])
    default = COMPUTED_DEFAULTS.get(name) or shown(from_answers.get(name, field.default))
    if field.is_required():
        default = "none: it has to be set"
    mark = " \\*" if name in from_answers else ""
    cells = (f"`{name.upper()}`", kind, default + mark, bounds(field.metadata), text_of(field))
    return f"| {' | '.join(cells)} |"


def kind_of(type_: Any) -> str:
    """What to call a type, with or without its constraints."""
    if type_ in KINDS:
        return KINDS[type_]
    if get_origin(type_) is Annotated:
        return kind_of(get_args(type_)[0])
    raise LookupError(f"{type_} has no name yet: add it to KINDS")


def text_of(field: Any) -> str:
    """The meaning of a setting, in Markdown."""
    text: str = field.description
    return text.replace("<", "&lt;")


def shown(value: object) -> str:
    """A default as one would write it in the environment."""
    if value is None or value == ():
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def bounds(constraints: Sequence[object]) -> str:
    """The lowest and the highest value, if there are any."""
    low, high = (
        next((getattr(one, end) for one in constraints if hasattr(one, end)), None)
        for end in ("ge", "le")
    )
    return "" if low is None else f"{low} to {high}"


BLOCKS = {
    "<!-- refusals made by scripts/settings_reference.py -->": refusals,
    "<!-- made by scripts/settings_reference.py -->": rows,
    "<!-- others made by scripts/settings_reference.py -->": others,
}
"""What is made, below the line that says so."""


def main() -> int:
    """Write the page, or check it."""
    old = new = PAGE.read_text("utf-8")
    for begin, lines in BLOCKS.items():
        before, _, rest = new.partition(begin)
        _, _, after = rest.partition(END)
        new = "".join((before, begin, "\n", "\n".join(lines()), "\n", END, after))
    if "--check" not in sys.argv:
        PAGE.write_text(new, "utf-8")
    elif new != old:
        print(f"{PAGE.name} isn't what the code says; {(__doc__ or '').partition('.')[2].strip()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
