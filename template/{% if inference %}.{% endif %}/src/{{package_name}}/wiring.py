"""What this service is made of: its model, routes, health checks and resources. Yours to change."""

from collections.abc import AsyncIterator, Hashable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager

from .chassis import Service
from .chassis.capacity import cpu_share
from .chassis.models import warm_up
from .classifier import SAMPLE, Classifier
from .routes import predictions
from .settings import Settings


def wire(service: Service) -> None:
    """Register the service's parts. Called once, before the workers are forked.

    Nothing is loaded or opened here: each worker calls the functions below when it starts, and
    isn't ready before the model is warm. A model that can't be loaded is tried again.
    """
    service.models.register(
        predictions.MODEL,
        load_model,
        sample=SAMPLE,  # predicted on to warm the model up
        auto_refresh=True,  # another file in its place is loaded beside the requests
        fingerprint=look_at_model_file,
    )
    service.resource("prediction_threads", open_prediction_threads)
    service.include_router(predictions.router)
    # Memory and disk in /health. They aren't critical: a full disk never unplugs the pod.
    service.health.register_defaults()


def load_model() -> Classifier:
    """Load the model into this worker, which computes with its share of the CPUs."""
    settings = Settings.current()
    threads = settings.model_threads or cpu_share.for_this_service(settings)
    return Classifier.load(settings.model_path, threads=threads)


def look_at_model_file() -> Hashable:
    """Tell one state of the model's file from another. Called every few seconds."""
    return warm_up.fingerprint_of(Settings.current().model_path)()


@asynccontextmanager
async def open_prediction_threads() -> AsyncIterator[Executor]:
    """The threads that compute, so that the event loop is free. Those who find none free wait."""
    threads = ThreadPoolExecutor(Settings.current().model_concurrency, "prediction")
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
