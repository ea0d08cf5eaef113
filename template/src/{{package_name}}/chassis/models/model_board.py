"""Where the models of all workers are put side by side, in memory that the workers share.

Each worker loads models of its own, and a probe or a scrape lands on any worker; it answers for the
worst of them (SPEC C3). A worker has a row of words: whose row it is, and a word for each model.
"""

import json
from collections import Counter
from dataclasses import dataclass

from .. import logs, roster
from ..roster import SLOTS, Roster
from ..shared import Cell, Memory, memory
from .model_state import ModelReport, ModelState, describe

MODELS = 32
_ERROR_BYTES = 300  # of JSON: names and errors of all models fit the cell together
_OWNER = 0
_STATE_MASK = 0xFF
_REQUIRED = 0x100

_log = logs.get_logger("chassis.models")


@dataclass(frozen=True, slots=True)
class Standing:
    """A model over all workers. `workers` counts them by state; `required` if it is in any."""

    name: str
    worst: ModelState
    required: bool
    workers: dict[str, int]
    error: str | None

    @property
    def reason(self) -> str | None:
        """Why the model can't be used everywhere; None when it can."""
        return describe(self.name, self.worst, self.error)

    def body(self) -> dict[str, object]:
        """What `/health` shows."""
        body: dict[str, object] = {
            "state": self.worst.label,
            "required": self.required,
            "workers": self.workers,
        }
        return body | {"error": self.error} if self.error else body


class ModelBoard:
    """The models' states by worker, their names, and what last went wrong with each."""

    def __init__(
        self, memory: Memory, roster: Roster, *, models: int = MODELS, slots: int = SLOTS
    ) -> None:
        self._roster = roster
        self._width = 1 + models
        self._words = memory.words(slots * self._width)
        self._cell: Cell = memory.cell()
        self._failure = memory.words(1)
        self._slot: int | None = None
        self._columns: dict[str, int] = {}
        self._alone: dict[str, ModelReport] = {}

    def join(self, slot: int) -> None:
        """Take the row of this worker's slot, emptied of what its predecessor left there.

        For the worker, before anything is published. Without a master (a development server)
        nobody joins, and what this process publishes is all there is.
        """
        row = slot * self._width
        self._words[row + _OWNER] = 0
        for column in range(1, self._width):
            self._words[row + column] = 0
        self._words[row + _OWNER] = self._age_of(slot)
        self._slot, self._columns = slot, {}
        for report in self._alone.values():
            self.publish(report)

    def publish(self, report: ModelReport) -> None:
        """Say where a model of this process stands. Never raises: a full board is logged."""
        if report.state is None:
            self._alone.pop(report.name, None)
        else:
            self._alone[report.name] = report
        if report.required and report.state is ModelState.FAILED:
            self._failure[0] = 1
        if self._slot is None:
            return
        word = 0 if report.state is None else report.state | _REQUIRED * report.required
        if report.error:
            self._keep_error(report.name, report.error)
        column = self._columns.get(report.name)
        if column is None and word:
            # Under the cell's lock until the word stands: a column without words is free.
            self._cell.update(lambda document: self._claim(document, report.name, word))
        elif column is not None:
            self._words[self._slot * self._width + column] = word
        if not word:
            self._columns.pop(report.name, None)

    def standings(self) -> dict[str, Standing]:
        """Each model over all workers that are alive."""
        if self._slot is None:
            alone = list(self._alone.values())  # at once: models are loaded in other threads
            return {report.name: _standing(report.name, [report]) for report in alone}
        names, errors = _read(self._cell.read())
        joined, absent = self._rows()
        found: dict[str, Standing] = {}
        for column, name in enumerate(names, start=1):
            error = errors.get(name)
            reports = [_report(name, row[column], error) for row in joined if row[column]]
            if reports:
                # A worker that hasn't joined yet has loaded nothing.
                cold = [ModelReport(name, ModelState.COLD, required=False)] * absent
                found[name] = _standing(name, reports + cold)
        return found

    @property
    def not_warm_reason(self) -> str | None:
        """Why the pod can't predict yet; None when all required models are warm everywhere."""
        reasons = [s.reason for s in self.standings().values() if s.required and s.reason]
        return "; ".join(reasons) or None

    @property
    def has_failed(self) -> bool:
        """Whether a required model ever failed in some worker, also while it is tried again."""
        return bool(self._failure[0])

    @property
    def trouble(self) -> str | None:
        """Which models failed, or couldn't be refreshed, in some worker; None when all is well."""
        failed = (ModelState.FAILED, ModelState.STALE)
        bad = (s for s in self.standings().values() if s.worst in failed)
        return "; ".join(f"model {s.name!r} {s.worst.label}: {s.error}" for s in bad) or None

    @property
    def all_required_warm(self) -> bool:
        """Whether every worker that is alive has warmed what is required."""
        return self.not_warm_reason is None

    def bodies(self) -> dict[str, dict[str, object]]:
        """The part `models` of `/health`."""
        return {name: standing.body() for name, standing in self.standings().items()}

    def _rows(self) -> tuple[list[list[int]], int]:
        """The rows of workers that are alive, and how many of these haven't got one yet."""
        joined, absent = [], 0
        for worker in self._roster.workers():
            start = worker.slot * self._width
            row = self._words[start : start + self._width].tolist()
            # A worker's age is its own: what a dead one left behind has another.
            if row[_OWNER] == _stamp(worker.age):
                joined.append(row)
            else:
                absent += 1
        return joined, absent

    def _claim(self, document: object | None, name: str, word: int) -> object | None:
        names, errors = _read(document)
        if name not in names and len(names) < self._width - 1:
            names.append(name)
        elif name not in names:
            joined, _ = self._rows()
            free = [c for c in range(1, self._width) if not any(row[c] for row in joined)]
            if not free:
                _log.warning("model not shown over workers: the board is full", model=name)
                return None
            errors.pop(names[free[0] - 1], None)
            names[free[0] - 1] = name
        column = names.index(name) + 1
        self._columns[name] = column
        self._words[(self._slot or 0) * self._width + column] = word
        return {"names": names, "errors": errors}

    def _keep_error(self, name: str, error: str) -> None:
        def keep(document: object | None) -> object | None:
            names, errors = _read(document)
            short = _fitting(error)
            if errors.get(name) == short:
                return None
            known = {other: said for other, said in errors.items() if other in names}
            return {"names": names, "errors": known | {name: short}}

        self._cell.update(keep)

    def _age_of(self, slot: int) -> int:
        for worker in self._roster.workers():
            if worker.slot == slot:
                return _stamp(worker.age)
        raise LookupError(f"no worker holds slot {slot}")


def _stamp(age: int) -> int:
    return age + 1  # 0 is nobody's row


def _read(document: object | None) -> tuple[list[str], dict[str, str]]:
    if not isinstance(document, dict):
        return [], {}
    return document["names"], document["errors"]


def _report(name: str, word: int, error: str | None) -> ModelReport:
    return ModelReport(name, ModelState(word & _STATE_MASK), bool(word & _REQUIRED), error)


def _standing(name: str, reports: list[ModelReport]) -> Standing:
    states = [report.state for report in reports if report.state is not None]
    worst = max(states)
    said = next((report.error for report in reports if report.error), None)
    return Standing(
        name,
        worst,
        any(report.required for report in reports),
        dict(Counter(state.label for state in states)),
        said if worst in (ModelState.FAILED, ModelState.STALE) else None,
    )


def _fitting(text: str) -> str:
    while len(json.dumps(text)) > _ERROR_BYTES:
        text = text[: len(text) * 3 // 4]
    return text


current = ModelBoard(memory, roster.current)
