"""What other people's tools say of the manifests: the API's schema, and checkov's rules."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_variants import OVERLAYS, VARIANTS
from manifests import Manifest
from scanners import scan

# Each manifest of a file, strictly, by the newest three versions that the tool knows. A kind that
# it doesn't know is an error here.
VALIDATE = """
import functools, json, sys
from kubernetes_validate import utils

utils.schema_contents = functools.cache(utils.schema_contents)
versions = [utils.major_minor(version) for version in utils.all_versions()][-3:]
found = json.load(open(sys.argv[1]))
for version in versions:
    for manifest in found:
        try:
            utils.validate(manifest, version, strict=True)
        except (utils.ValidationError, utils.SchemaNotFoundError) as error:
            print(version, manifest["kind"], list(getattr(error, "path", [])), error.message)
print(len(found), "manifests in", *versions)
"""


@pytest.fixture(scope="module")
def every_manifest(built: Callable[[int, str], list[Manifest]]) -> list[Manifest]:
    """Those of each variant's overlays, without repetitions."""
    found = {
        json.dumps(manifest, sort_keys=True): manifest
        for number in range(len(VARIANTS))
        for overlay in OVERLAYS
        for manifest in built(number, overlay)
    }
    return list(found.values())


def test_the_api_takes_every_manifest(every_manifest: list[Manifest], tmp_path: Path) -> None:
    """No field is misspelt, misplaced or of another type, in three versions of Kubernetes."""
    assert validated(every_manifest, tmp_path) == []


def validated(found: list[Manifest], folder: Path) -> list[str]:
    """What the API's schema says against them."""
    file = folder / "manifests.json"
    file.write_text(json.dumps(found), "utf-8")
    done = scan("python", "-c", VALIDATE, file, timeout=280)
    assert done.returncode == 0, done.stderr
    *complaints, summary = done.stdout.splitlines()
    assert summary.startswith(f"{len(found)} manifests in ")
    assert len(summary.split()) == 6, "three versions"
    return complaints


def test_a_wrong_manifest_is_refused(built: Any, tmp_path: Path) -> None:
    """The schema sees a field that there isn't, and a number where a truth value belongs."""
    text = json.dumps(built(0, "production"))
    mount = '"automountServiceAccountToken": {}, "kind"'
    misspelt = text.replace("maxSurge", "maxSurges").replace(mount.format("false"), mount.format(0))

    complaints = " ".join(validated(json.loads(misspelt), tmp_path))
    assert "maxSurges" in complaints
    assert "0 is not of type 'boolean'" in complaints


def checked(folder: Path, *found: list[Manifest]) -> dict[str, Any]:
    """What checkov says of them, each list of them being a cluster's."""
    for number, manifests in enumerate(found):
        (folder / f"{number}.yaml").write_text(yaml.safe_dump_all(manifests), "utf-8")
    done = scan(
        "checkov",
        *("--directory", folder),
        *("--framework", "kubernetes"),
        *("--output", "json"),
        *("--skip-download", "--compact"),
        timeout=280,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert not report["results"]["parsing_errors"]
    return report


def test_checkov_finds_nothing(built: Any, tmp_path: Path) -> None:
    """But what is suppressed where it stands, with a reason; and no suppression is left over."""
    found = [built(number, "production") for number in range(len(VARIANTS))]
    report = checked(tmp_path, *found)

    failed = [
        (check["check_id"], check["check_name"], check["resource"])
        for check in report["results"]["failed_checks"]
    ]
    assert failed == []
    skipped = Counter(
        (check["resource"].partition(".")[0], check["check_id"])
        for check in report["results"]["skipped_checks"]
    )
    kinds = Counter(manifest["kind"] for manifests in found for manifest in manifests)
    assert skipped == {
        (kind, check): kinds[kind]
        for kind in ("Deployment", "Job")
        for check in ("CKV_K8S_15", "CKV_K8S_40", "CKV_K8S_43")
    }
    assert report["summary"]["passed"] > 100


def test_checkov_sees_what_is_wrong(built: Any, tmp_path: Path) -> None:
    """A container that may write to its root is found."""
    text = json.dumps(built(0, "production"))
    writable = text.replace('"readOnlyRootFilesystem": true', '"readOnlyRootFilesystem": false')

    report = checked(tmp_path, json.loads(writable))
    failed = {check["check_id"] for check in report["results"]["failed_checks"]}
    assert failed == {"CKV_K8S_22"}
