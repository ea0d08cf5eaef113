"""The settings of this service. Yours to extend."""

from .answers import AnsweredSettings


class Settings(AnsweredSettings):
    """Read from the environment and from files under `SECRETS_DIR`, case-insensitively.

    Add a field and it is the environment variable of that name; without a default it must be
    set, or the service refuses to start and says so:

        payment_gateway_url: HttpUrl
        payment_gateway_token: SecretStr

    Read it where the service runs, typed, with `Settings.current().payment_gateway_url`: in a
    request, a check or a resource, but not at import, where the settings aren't read yet.
    """
