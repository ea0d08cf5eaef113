"""The settings of this service. Yours to extend."""

from pydantic import Field, HttpUrl, SecretStr

from .answers import AnsweredSettings
from .chassis.settings.setting_types import Maybe


class Settings(AnsweredSettings):
    """Read from the environment and from files under `SECRETS_DIR`, case-insensitively.

    Add a field and it is the environment variable of that name; without a default it must be
    set, or the service refuses to start and says so.

    Read it where the service runs, typed, with `Settings.current().payment_gateway_url`: in a
    request, a check or a resource, but not at import, where the settings aren't read yet.
    """

    payment_gateway_url: Maybe[HttpUrl] = Field(
        None, description="the gateway that captures payments; empty: none, they stay accepted"
    )
    payment_gateway_token: Maybe[SecretStr] = Field(
        None, description="the bearer token that the gateway asks for"
    )
    payment_gateway_deadline_seconds: float = Field(
        5, ge=0.1, le=60, description="for one call of the gateway, with all its attempts"
    )
