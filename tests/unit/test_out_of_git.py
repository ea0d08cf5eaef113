"""What must never be committed isn't, although the service's .gitignore is the user's."""

from collections.abc import Callable
from pathlib import Path

import support


def test_passwords_of_compose_stay_out_of_git(render: Callable[..., Path], tmp_path: Path) -> None:
    """Also in a service whose .gitignore is from before there was a Compose."""
    project = render(tmp_path / "service", {"database": "postgresql", "events": "redis"})
    (project / ".gitignore").write_text("__pycache__/\n")
    support.commit_all(project, "The service")

    support.run(
        ["make", *(f"deploy/compose/secrets/{name}_url" for name in ("database", "redis"))], project
    )

    assert (project / "deploy/compose/secrets/postgres_password").is_file()
    assert support.git(project, "status", "--porcelain") == ""
