"""Whether an event is at fault or the sink: an outage must not park a single event."""

from collections.abc import Collection, Mapping

_MOST = 10_000


class Suspects:
    """The events that were refused while the sink took nothing, as far as this relay has seen.

    One that is refused beside others that are taken is at fault. Where nothing is taken it may be
    the sink, until that takes something and refuses the same event once more.
    """

    def __init__(self) -> None:
        self._took_others: dict[int, bool] = {}

    def blame(self, published: Collection[int], refused: Mapping[int, str]) -> dict[int, str]:
        """Of the refused events those that are at fault."""
        if published:
            for sequence in published:
                self._took_others.pop(sequence, None)
            self._took_others = dict.fromkeys(self._took_others, True)
            return dict(refused)
        blamed = {
            sequence: error
            for sequence, error in refused.items()
            if self._took_others.get(sequence)
        }
        if len(self._took_others) > _MOST:
            self._took_others.clear()
        self._took_others |= dict.fromkeys(refused, False)
        return blamed
