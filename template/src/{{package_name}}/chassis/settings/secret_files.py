"""Settings from files, one value a file, as Kubernetes, Vault and Docker mount secrets."""

from collections import Counter
from pathlib import Path

from pydantic_settings import NestedSecretsSettingsSource, SettingsError


class SecretFiles(NestedSecretsSettingsSource):
    """A folder of files whose names are the settings' names, in any case.

    ``database_url`` sets ``DATABASE_URL``. So does ``payments/database_url``, because a pod
    with two Secrets needs a folder for each, and ``database/url``; the shallower reading wins,
    and a file name that two folders share is read by its path only.
    """

    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        """Read the files below ``path`` under every name that they go by."""
        texts = {
            file.relative_to(path): cls._text(file)
            for file in cls._iter_secret_files(path)
            # Certificates, key stores and "ca.crt" lie here too; no setting is called that.
            if file.name.isidentifier()
        }
        names = Counter(file.name.casefold() for file in texts)
        secrets: dict[str, str] = {}
        for file, text in texts.items():
            secrets[str(file)] = text
        for file, text in texts.items():
            secrets.setdefault("_".join(file.parts), text)
        for file, text in texts.items():
            if names[file.name.casefold()] == 1 and "kubernetes.io" not in file.parts:
                secrets.setdefault(file.name, text)
        return secrets

    @staticmethod
    def _text(file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            # Taking it for absent would end in "missing" and a long night.
            raise SettingsError(f"SECRETS_DIR: {file} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"SECRETS_DIR: {file} is not text in UTF-8") from None
