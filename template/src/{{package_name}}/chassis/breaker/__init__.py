"""The circuit breaker: calls to something that fails stop reaching it for a while (SPEC D1 to D3).

>>> gateway = CircuitBreaker(name="payment-gateway", excluded=(PaymentRefused,))
>>> receipt = await gateway.call(client.charge, order)
>>> async with gateway:
...     receipt = await client.charge(order)

Put a call's time limit inside the breaker: a call that is cancelled from outside, by
`asyncio.timeout` around the breaker for one, says nothing about the other side.
"""

import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from .callables import is_async, takes_nothing
from .circuit_controller import CircuitController, Listener
from .circuit_permits import Permit, Permits
from .circuit_state import CircuitState
from .circuit_stats import CircuitCounts, CircuitStats
from .circuit_window import CircuitWindow
from .steady_clock import Clock

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class CircuitOpenError(RuntimeError):
    """The circuit `name` lets no call through; try again after `retry_after` seconds."""

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(name, retry_after)
        self.name = name
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"the circuit {self.name!r} is open, try again in {self.retry_after:.1f} s"


class CircuitBreaker:
    """Guards the calls to one thing that may fail. Safe under threads, tasks and re-entrant calls.

    It opens at `failure_threshold` failures within `window` seconds, whatever succeeds meanwhile.
    After `recovery_timeout` seconds the next call goes through as a trial, one at a time: success
    closes the circuit, failure opens it again. A trial that is cancelled makes room for another
    one; so does one without a result after `window` seconds (`recovery_timeout`, if longer).
    The result of a call that began before the circuit opened, or was reset, changes nothing.

    A failure is any `Exception` but those in `excluded`: these are answers (a 4xx, say) and prove
    that the other side works, so they count as success. Other `BaseException`s (cancelled, the
    generator was closed, the process is told to stop) say nothing.

    While no call is let through `fallback` answers instead, called with the call's arguments, or
    with none if it takes none. It may be async where the call is. It isn't asked when a call was
    let through and failed. What it raises reaches the caller and changes nothing here.

    `minimum_calls` is how many calls have to be in the window before the circuit may open. A call
    that lasts longer than `slow_call_duration` seconds is slow: the circuit opens too when the part
    of slow calls in the window reaches `slow_call_rate`, and a slow trial has failed.

    Raises ValueError for numbers that make no sense.
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 30.0,
        window: float = 60.0,
        fallback: Callable[..., Any] | None = None,
        name: str = "default",
        *,
        excluded: tuple[type[BaseException], ...] = (),
        minimum_calls: int = 0,
        slow_call_duration: float | None = None,
        slow_call_rate: float = 1.0,
        clock: Clock = time.monotonic,
    ) -> None:
        slow_rate = None if slow_call_duration is None else slow_call_rate
        self.name = name
        self._excluded = excluded
        self._fallback = fallback
        self._fallback_takes_nothing = fallback is not None and takes_nothing(fallback)
        self._permits = Permits()
        self._circuit = CircuitController(
            name,
            CircuitWindow(failure_threshold, window, minimum_calls, slow_rate),
            recovery_timeout=recovery_timeout,
            trial_timeout=max(window, recovery_timeout),
            slow_after=slow_call_duration,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r}: {self.state}>"

    # Guarded calls

    def call(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `fn`; for a coroutine function return what has to be awaited.

        Raises CircuitOpenError when the circuit is open and there is no fallback, TypeError for a
        generator function, and what `fn` raises.
        """
        run = self._run_async if is_async(fn) else self._run
        result: R = run(fn, args, kwargs)  # type: ignore[assignment]
        return result

    def __call__(self, fn: F) -> F:
        """Decorate a function or coroutine function. Raises TypeError for a generator function."""
        if is_async(fn):

            @functools.wraps(fn)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                return await self._run_async(fn, args, kwargs)

            return guarded_async  # type: ignore[return-value]

        @functools.wraps(fn)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return self._run(fn, args, kwargs)

        return guarded  # type: ignore[return-value]

    def __enter__(self) -> "CircuitBreaker":
        epoch = self._circuit.admit()
        if epoch is None:
            raise self._refusal()
        self._permits.enter(Permit(epoch, self._circuit.start()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        permit = self._permits.exit()
        self._finish(permit.epoch, permit.began, error)

    async def __aenter__(self) -> "CircuitBreaker":
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    # By hand

    def allow(self) -> bool:
        """Whether a call may be made now. If so, say how it ended: see the three methods below.

        When it lets a trial through, that place is taken until one of them is called. They belong
        to the last `allow()` of the same task or thread, so a result that comes too late changes
        nothing; without one they are taken for the result of a call that has just begun, or of the
        trial that an `allow()` elsewhere let through.
        """
        epoch = self._circuit.admit(by_hand=True)
        self._permits.allow(None if epoch is None else Permit(epoch, self._circuit.start()))
        return epoch is not None

    def record_success(self) -> None:
        """The call went well."""
        self._record(failed=False)

    def record_failure(self) -> None:
        """The call failed."""
        self._record(failed=True)

    def release(self) -> None:
        """The call ended and says nothing about the other side: it was cancelled, for one."""
        self._record(failed=None)

    def reset(self) -> None:
        """Close the circuit and forget what was measured; statistics stay.

        Ends `force_open()` and `disable()` as well.
        """
        self._circuit.move(CircuitState.CLOSED)

    def force_open(self) -> None:
        """Let no call through until `reset()`."""
        self._circuit.move(CircuitState.FORCED_OPEN)

    def disable(self) -> None:
        """Let all calls through, whatever comes of them, until `reset()`."""
        self._circuit.move(CircuitState.DISABLED)

    # What is known of it

    @property
    def state(self) -> CircuitState:
        """The state; an open circuit becomes half-open only when the next call comes."""
        return self._circuit.state

    def stats(self) -> CircuitStats:
        """The numbers of this process; see CircuitStats."""
        return self._circuit.stats()

    def counts(self) -> CircuitCounts:
        """The numbers behind `stats()`, and some more."""
        return self._circuit.counts()

    def on_transition(self, listener: Listener) -> None:
        """Call `listener` after each transition, in the task or thread that caused it.

        It may use the breaker. What it raises is logged. Under threads the news of two transitions
        may overtake each other.
        """
        self._circuit.on_transition(listener)

    # Inside

    def _run(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        epoch = self._circuit.admit()
        if epoch is None:
            return self._answer_instead(args, kwargs)
        began = self._circuit.start()
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            self._finish(epoch, began, error)
            raise
        if hasattr(type(result), "__await__"):
            # Such as `lambda: client.charge(order)`, which doesn't look async until it is called.
            return self._await(result, epoch, began)
        self._circuit.finish(epoch, began, failed=False)
        return result

    async def _run_async(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        epoch = self._circuit.admit()
        if epoch is None:
            answer = self._answer_instead(args, kwargs)
            return await answer if inspect.isawaitable(answer) else answer
        began = self._circuit.start()
        try:
            result = await fn(*args, **kwargs)
        except BaseException as error:
            self._finish(epoch, began, error)
            raise
        self._circuit.finish(epoch, began, failed=False)
        return result

    async def _await(self, awaitable: Awaitable[Any], epoch: int, began: float) -> Any:
        try:
            result = await awaitable
        except BaseException as error:
            self._finish(epoch, began, error)
            raise
        self._circuit.finish(epoch, began, failed=False)
        return result

    def _answer_instead(self, args: Any, kwargs: Any) -> Any:
        if self._fallback is None:
            raise self._refusal()
        self._circuit.count_fallback()
        return self._fallback() if self._fallback_takes_nothing else self._fallback(*args, **kwargs)

    def _refusal(self) -> CircuitOpenError:
        return CircuitOpenError(self.name, self._circuit.retry_after())

    def _finish(self, epoch: int, began: float, error: BaseException | None) -> None:
        failed: bool | None
        if error is None or isinstance(error, self._excluded):
            failed = False
        else:
            failed = True if isinstance(error, Exception) else None
        self._circuit.finish(epoch, began, failed=failed)

    def _record(self, *, failed: bool | None) -> None:
        permit = self._permits.take() or Permit(self._circuit.present(), self._circuit.start())
        self._circuit.finish(permit.epoch, permit.began, failed=failed)
