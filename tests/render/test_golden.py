"""The golden projects are what the template renders; a change to them is seen in review."""

import sys

import pytest
import support

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import golden


def test_the_golden_projects_are_what_is_rendered(capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails and the difference is meant: make golden."""
    found = golden.main(["--check"])

    said = capsys.readouterr()
    assert found == 0, f"{said.out}\n{said.err}"


def test_a_difference_can_be_read() -> None:
    """A changed line, a new file and one that is gone are shown as diff shows them."""
    before = {"Makefile": b"run:\n\told\n", "gone.md": b"Gone\n", "same": b"same\n"}
    after = {"Makefile": b"run:\n\tnew\n", "new.md": b"New\n", "same": b"same\n"}

    said = list(golden.differences("default", before, after))

    assert said == [
        "--- tests/golden/default/Makefile",
        "+++ default/Makefile, rendered",
        "@@ -1,2 +1,2 @@",
        " run:",
        "-\told",
        "+\tnew",
        "--- tests/golden/default/gone.md",
        "+++ /dev/null",
        "@@ -1 +0,0 @@",
        "-Gone",
        "--- /dev/null",
        "+++ default/new.md, rendered",
        "@@ -0,0 +1 @@",
        "+New",
    ]


def test_they_are_small_enough_to_be_reviewed() -> None:
    """Of what doesn't depend on the answers there is a list and no copy."""
    for project in golden.PROJECTS:
        files = golden.golden(project)
        assert len(files) < 60
        assert sum(content.count(b"\n") for content in files.values()) < 6000
        assert not any("/chassis/" in path for path in files)
