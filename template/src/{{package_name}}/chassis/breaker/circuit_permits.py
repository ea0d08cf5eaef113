"""Who was let through: what `with` blocks and `allow()` remember until the call has ended.

The breaker is shared by all tasks and threads, so that neither can keep it in the breaker itself.
"""

from contextvars import ContextVar


class Permit:
    """One call that was let through, in `epoch`, at `began` (seconds)."""

    __slots__ = ("began", "epoch")

    def __init__(self, epoch: int, began: float) -> None:
        self.epoch = epoch
        self.began = began


class Permits:
    """The permits of one breaker. A context variable tells tasks and threads apart.

    Python never forgets a context variable that was set in a long-lived context; breakers too are
    made once, for each service that is called.
    """

    def __init__(self) -> None:
        self._blocks: ContextVar[tuple[Permit, ...]] = ContextVar("blocks", default=())
        self._unfinished: dict[Permit, None] = {}
        self._allowed: ContextVar[Permit | None] = ContextVar("allowed", default=None)

    def enter(self, permit: Permit) -> None:
        """A `with` block begins."""
        self._unfinished[permit] = None
        self._blocks.set((*self._blocks.get(), permit))

    def exit(self) -> Permit:
        """The innermost `with` block of this context ends."""
        blocks = self._blocks.get()
        while blocks:
            permit, blocks = blocks[-1], blocks[:-1]
            if permit in self._unfinished:
                self._blocks.set(blocks)
                del self._unfinished[permit]
                return permit
        # It was entered in another context (FastAPI runs a generator dependency's two halves in
        # two copies). Each exit takes one permit, so that none, a trial's least of all, is left.
        return self._unfinished.popitem()[0]

    def allow(self, permit: Permit | None) -> None:
        """`allow()` was answered here; a permit of before that was never used is forgotten."""
        self._allowed.set(permit)

    def take(self) -> Permit | None:
        """What the last `allow()` of this context was given, once."""
        permit = self._allowed.get()
        if permit is not None:
            self._allowed.set(None)
        return permit
