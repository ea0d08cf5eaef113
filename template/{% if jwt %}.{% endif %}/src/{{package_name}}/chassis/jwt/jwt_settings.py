"""The settings of a service whose callers send tokens."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from ..settings import ChassisSettings, refusal
from ..settings.setting_types import Maybe
from . import verification_keys
from .verification_keys import ALGORITHMS, HMAC, VerificationKey, VerificationKeys

MAX_JWKS_BYTES = 2**18

SOURCES = ("jwt_secret_key", "jwt_public_key", "jwt_jwks_file", "jwt_jwks_url")
"""The settings that keys may come from."""


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part for item in value.split(",") if (part := item.strip()))


# Which ones are checked below, with the rest: a validator's own message would be hidden for fear
# that it shows a secret.
Algorithms = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class JwtSettings(ChassisSettings):
    """What the chassis can be told about tokens."""

    jwt_issuer: str = Field(min_length=1, description="who issues the tokens: their `iss`")
    jwt_audience: str = Field(min_length=1, description="whom they are for: one of their `aud`")
    jwt_algorithms: Algorithms = Field(
        default=("RS256",), min_length=1, description="the algorithms of signatures; no others"
    )
    jwt_leeway_seconds: float = Field(
        default=30, ge=0, le=300, description="how far clocks may differ"
    )
    jwt_secret_key: Maybe[SecretStr] = Field(
        default=None, description="the secret of HS256 to HS512: best a file in SECRETS_DIR"
    )
    jwt_public_key: Maybe[str] = Field(
        default=None, description="the issuer's public key in PEM form"
    )
    jwt_jwks_file: Maybe[Path] = Field(
        default=None, description="a file with the issuer's keys, a JWK set"
    )
    jwt_jwks_url: Maybe[HttpUrl] = Field(
        default=None, description="where the issuer publishes its keys, a JWK set"
    )
    jwt_jwks_refresh_seconds: float = Field(
        default=300, ge=1, le=86400, description="how old its keys get until they are read again"
    )

    @property
    def jwt_fixed_key(self) -> VerificationKey | None:
        """The key that stands in the settings, if one does. ValueError says what is wrong."""
        if self.jwt_secret_key is not None:
            return VerificationKey(self.jwt_secret_key.get_secret_value().encode())
        if self.jwt_public_key is not None:
            return verification_keys.from_pem(self.jwt_public_key)
        return None

    def read_jwks_file(self) -> VerificationKeys:
        """The keys in the file. ValueError or OSError says what is wrong."""
        assert self.jwt_jwks_file is not None  # noqa: S101 - the caller has looked
        with self.jwt_jwks_file.open("rb") as file:
            text = file.read(MAX_JWKS_BYTES)
        return verification_keys.from_jwks(json.loads(text), self.jwt_algorithms)

    @field_validator(SOURCES[-1])
    @classmethod
    def _refuse_other_than_one_source(
        cls, value: HttpUrl | None, info: ValidationInfo
    ) -> HttpUrl | None:
        others = SOURCES[:-1]
        if any(name not in info.data for name in others):
            return value  # one of them is wrong, which is told already
        given = [name.upper() for name in others if info.data[name] is not None]
        if value is not None:
            given.append(SOURCES[-1].upper())
        if len(given) != 1:
            listed, found = ", ".join(SOURCES).upper(), " and ".join(given) or "none"
            raise _conflict(f"set exactly one of {listed}, not {found}")
        return value

    @model_validator(mode="after")
    def _refuse_keys_that_verify_nothing(self) -> "JwtSettings":
        if wrong := _unpinned(self.jwt_algorithms):
            raise _conflict(f"JWT_ALGORITHMS is refused: it must {wrong}")
        (source,) = (name.upper() for name in SOURCES if getattr(self, name) is not None)
        if wrong := self._wrong_key(source):
            raise _conflict(wrong)
        return self

    def _wrong_key(self, source: str) -> str | None:
        names = ", ".join(self.jwt_algorithms)
        symmetric = self.jwt_algorithms[0] in HMAC
        if symmetric != (source == "JWT_SECRET_KEY"):
            wanted = "JWT_SECRET_KEY" if symmetric else "a public key, and so not JWT_SECRET_KEY"
            return f"JWT_ALGORITHMS={names} needs {wanted}"
        try:
            if (key := self.jwt_fixed_key) is not None:
                unserved = [name for name in self.jwt_algorithms if not key.serves(name)]
                return f"{source} is refused: {_unfit(unserved[0])}" if unserved else None
            if source == "JWT_JWKS_FILE":
                self.read_jwks_file()
        except OSError as error:
            return f"{source} is refused: it can't be read ({error.strerror})"
        except ValueError as error:
            told = "is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            return f"{source} is refused: it {told}"
        if self.jwt_jwks_url is not None and not _is_safe(self.jwt_jwks_url):
            return f"{source} is refused: it must be https://, or anybody could give the keys"
        return None


def _unpinned(algorithms: tuple[str, ...]) -> str | None:
    if set(algorithms) - set(ALGORITHMS):
        return f"list algorithms of {', '.join(ALGORITHMS)}"
    if len({name in HMAC for name in algorithms}) > 1:
        return "not mix algorithms for a secret (HS...) with others"
    return None


def _unfit(algorithm: str) -> str:
    if algorithm in HMAC:
        return f"{algorithm} needs {HMAC[algorithm]} bytes at least"
    return f"it is no key for {algorithm}, or too short a one"


def _is_safe(url: HttpUrl) -> bool:
    if url.scheme == "https" or url.host == "localhost":
        return True
    try:
        return ip_address((url.host or "").strip("[]")).is_loopback
    except ValueError:
        return False


def _conflict(line: str) -> PydanticCustomError:
    return PydanticCustomError(refusal.CONFLICT, "{wrong}", {"wrong": line})
