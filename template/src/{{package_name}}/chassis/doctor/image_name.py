"""The name of an image, taken apart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageName:
    """`registry/repository:tag@digest`; what isn't given is None."""

    repository: str
    """With the registry, if there is one."""
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> "ImageName":
        """Take a name apart."""
        name, _, digest = text.partition("@")
        head, _, last = name.rpartition("/")
        short, colon, tag = last.partition(":")
        repository = f"{head}/{short}" if head else short
        return cls(repository, tag if colon else None, digest or None)

    @property
    def short(self) -> str:
        """The last part of the repository: `python` of `docker.io/library/python`."""
        return self.repository.rpartition("/")[2]

    @property
    def moves(self) -> bool:
        """Whether it may be another image tomorrow for sure: no tag, or `latest`, and no digest."""
        return self.digest is None and self.tag in (None, "", "latest")
