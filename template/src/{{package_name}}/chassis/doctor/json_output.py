"""The result as data, for other programs."""

import json
from collections.abc import Sequence

from .item import Finding, Result, Status

VERSION = 1
"""Of the document's form: it moves when a field goes or changes its meaning."""


def document(results: Sequence[Result], service: str) -> str:
    """The document."""
    summary = {
        status.value: sum(result.status is status for result in results) for status in Status
    }
    items = [
        {
            "id": result.item.id,
            "group": result.item.group,
            "title": result.item.title,
            "status": result.status.value,
            "why": result.item.why,
            "mend": result.item.mend,
            "findings": [_finding(finding) for finding in result.findings],
        }
        for result in results
    ]
    told = {"version": VERSION, "service": service, "summary": summary, "items": items}
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "status": finding.status.value,
        "text": finding.text,
        "path": finding.place.path if finding.place else None,
        "line": finding.place.line if finding.place else None,
        "target": finding.target,
    }
