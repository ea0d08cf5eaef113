"""The service's settings: environment, then secret files, then the answers.

The user's `Settings` subclasses `ChassisSettings`, names its answers and adds fields of its
own. What is wrong stops the boot with one line (`load_settings`), before anything listens.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import DirectoryPath, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from ..answers import Answers
from ..capacity.budget import (
    CLOSE_SECONDS,
    HEALTH_CHECK_TIMEOUT_SECONDS,
    LINGER_SECONDS,
    ShutdownBudget,
)
from . import refusal
from .secret_files import SecretFiles
from .setting_types import Address, HostPatterns, LogFormat, LogLevel, Maybe, Networks, Origins

S = TypeVar("S", bound="ChassisSettings")

DEFAULT_SECRETS_DIR = Path("/run/secrets")
TMPFS = Path("/dev/shm")  # noqa: S108 - not a guessable file: a file system in memory

YEAR = 31_536_000


class SettingsError(Exception):
    """The settings are refused; the message is one line and shows no secret."""


def _setting(default: object, what: str) -> Any:
    """Declare a setting whose type says what is allowed."""
    return Field(default=default, description=what)


def _number(default: float | None, low: float, high: float, what: str) -> Any:
    """Declare a number and its bounds; the unit ends the setting's name or stands in `what`."""
    return Field(default=default, ge=low, le=high, description=what)


BootLine = tuple[Literal["info", "warning"], str, Mapping[str, object]]
"""A line of the log at boot: its level, its message and its fields."""


class ChassisSettings(BaseSettings):
    """What the chassis can be told; each field is an environment variable in upper case."""

    model_config = SettingsConfigDict(
        case_sensitive=False,
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        # A validation error prints what it refused otherwise, passwords included.
        hide_input_in_errors=True,
        validate_default=True,
    )

    answers: ClassVar[Answers]
    """Set by the subclass."""

    bind_address: Address = _setting("0.0.0.0:8000", "where the API listens")
    management_bind_address: Maybe[Address] = _setting(
        "0.0.0.0:9000", "where health and metrics listen; empty for nowhere"
    )
    web_concurrency: Maybe[int] = _number(None, 1, 1024, "workers; empty: by CPU and memory")
    log_level: LogLevel = _setting("INFO", "the least severe level that is logged")
    log_format: Maybe[LogFormat] = _setting(None, "json or console; empty: console on a terminal")

    drain_seconds: float = _number(10, 0, 3600, "not ready, but still accepting")
    linger_seconds: float = _number(LINGER_SECONDS, 0, 600, "serving what is connected")
    request_timeout_seconds: float = _number(15, 0.001, 3600, "the deadline of a request")
    close_seconds: float = _number(CLOSE_SECONDS, 0, 600, "to close resources in")
    graceful_timeout_seconds: int = _number(30, 1, 7200, "after it a stopping worker is killed")
    termination_grace_seconds: int = _number(45, 1, 7200, "after it the platform kills the pod")
    worker_timeout_seconds: int = _number(
        120, 1, 7200, "without a heartbeat a worker is killed after it"
    )
    stream_idle_seconds: float = _number(30, 0.001, 3600, "silence that a stream may keep")
    keepalive_seconds: int = _number(5, 1, 3600, "how long an idle connection is kept")

    max_requests: int = _number(2000, 0, 10**9, "requests until a worker is replaced; 0: never")
    max_requests_jitter: int = _number(200, 0, 10**9, "requests at random on top of that")
    backlog: int = _number(2048, 1, 65535, "connections that may wait to be accepted")
    worker_connections: int = _number(1000, 1, 10**6, "concurrent requests of one worker")
    worker_tmp_dir: Maybe[DirectoryPath] = Field(
        default_factory=lambda: TMPFS if TMPFS.is_dir() else None,
        description="the folder of heartbeat files, on a file system in memory",
    )

    max_body_bytes: int = _number(2**20, 0, 2**40, "the largest request body")
    max_header_bytes: int = _number(2**16, 1024, 2**24, "the largest request head")
    header_timeout_seconds: float = _number(10, 0.001, 3600, "for a request head to arrive in")
    forwarded_allow_ips: Networks = _setting((), "proxies whose X-Forwarded-* is believed")
    allowed_hosts: HostPatterns = _setting((), "Host headers accepted; empty: any")
    cors_allow_origins: Origins = _setting((), "origins that browsers may call from")
    hsts_seconds: int = _number(0, 0, 10 * YEAR, "Strict-Transport-Security; 0: not sent")

    docs_enabled: bool = _setting(False, "serve /docs and /openapi.json")
    probes_enabled: bool = _setting(True, "serve probes at all")
    traffic_probes_enabled: bool = _setting(True, "serve /livez and /readyz to traffic")
    health_cache_seconds: float = _number(1, 0, 60, "how long a health check's result stands")
    health_interval_seconds: float = _number(
        10, 0, 3600, "between two runs of a worker's health checks; 0: when probed only"
    )
    health_check_timeout_seconds: float = _number(
        HEALTH_CHECK_TIMEOUT_SECONDS, 0.001, 60, "the timeout of a health check that names none"
    )
    secrets_dir: Maybe[Path] = _setting(
        DEFAULT_SECRETS_DIR, "the folder of secret files; empty for none"
    )

    @classmethod
    def current(cls) -> Self:
        """Return the process' settings, as the class that it is called on.

        For functions that are called while the service runs; nothing is read at import. Raises
        RuntimeError before the settings are read, or when they are of another class.
        """
        settings = current()
        if not isinstance(settings, cls):
            raise RuntimeError(
                f"the settings in force are a {type(settings).__qualname__}, no {cls.__qualname__}"
            )
        return settings

    def boot_lines(self, workers: int) -> Iterator[BootLine]:
        """What follows from the number of workers, for the log.

        Raises SettingsError when these settings can't carry so many.
        """
        yield from ()

    @property
    def budget(self) -> ShutdownBudget:
        """The stop as these settings make it; the platform's part is as the answers have it."""
        return replace(
            ShutdownBudget.from_answers(self.answers),
            drain=self.drain_seconds,
            linger=self.linger_seconds,
            request=self.request_timeout_seconds,
            close=self.close_seconds,
            graceful=self.graceful_timeout_seconds,
            termination_grace=self.termination_grace_seconds,
            readiness_check_timeout=self.health_check_timeout_seconds,
        )

    @model_validator(mode="after")
    def _refuse_what_loses_requests(self) -> "ChassisSettings":
        wrong = self.budget.violations()
        if self.bind_address == self.management_bind_address and not _picks_port(self.bind_address):
            wrong.append("MANAGEMENT_BIND_ADDRESS must differ from BIND_ADDRESS")
        if wrong:
            raise PydanticCustomError(refusal.CONFLICT, "{wrong}", {"wrong": "; ".join(wrong)})
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; the first that knows a setting wins."""
        del dotenv_settings  # It would be one more place for a secret to be forgotten in.
        folder: object = DEFAULT_SECRETS_DIR
        if isinstance(env_settings, EnvSettingsSource):
            folder = env_settings.env_vars.get("secrets_dir", folder)
        if isinstance(init_settings, InitSettingsSource):
            folder = init_settings.init_kwargs.get("secrets_dir", folder)
        files = SecretFiles(
            file_secret_settings,
            secrets_dir=Path(str(folder)) if folder else None,
            secrets_dir_missing="ok",
            secrets_nested_subdir=True,
        )
        answers = InitSettingsSource(settings_cls, defaults_from(cls.answers))
        return init_settings, env_settings, files, answers


def defaults_from(answers: Answers) -> dict[str, Any]:
    """Return the defaults that the answers decide, by field.

    The grace periods follow from the answers rather than from the other settings, because the
    platform's manifest was rendered from the answers too and doesn't see this environment.
    """
    shutdown = ShutdownBudget.from_answers(answers)
    return {
        "drain_seconds": shutdown.drain,
        "request_timeout_seconds": shutdown.request,
        "graceful_timeout_seconds": shutdown.graceful,
        "termination_grace_seconds": shutdown.termination_grace,
        "keepalive_seconds": answers.keepalive_seconds,
        "database_max_connections": answers.database_max_connections,
    }


def load_settings(settings: type[S]) -> S:
    """Read the settings; SettingsError says in one line which are wrong and what is allowed."""
    try:
        return settings()
    except ValidationError as error:
        line = refusal.explain(error, settings, frozenset(ChassisSettings.model_fields))
    except SourceError as error:
        line = refusal.explain_source(error)
    # Outside the handler: a chained traceback could show what the line doesn't.
    raise SettingsError(line)


_current: list[ChassisSettings] = []


def use(settings: ChassisSettings) -> None:
    """Make these the process' settings; the master does it before it forks workers."""
    _current[:] = [settings]


def are_set() -> bool:
    """Tell whether `use` was called, which a development server doesn't do."""
    return bool(_current)


def current() -> ChassisSettings:
    """Return the process' settings; RuntimeError before `use` was called."""
    if not _current:
        raise RuntimeError("no settings yet: call settings.use(load_settings(Settings)) at boot")
    return _current[-1]


def service_name() -> str:
    """Return the service's name; "service" before `use` was called."""
    return current().answers.service_name if are_set() else "service"


def _picks_port(address: str) -> bool:
    return address.endswith(":0")
