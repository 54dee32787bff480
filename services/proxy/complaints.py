"""What services ask for and cannot have, told to people: a log line and an Event each."""

from pybernetes.api.core_v1 import Service
from pybernetes.client.events import EventRecorder
from pybernetes.client.informer import Informer
from pybernetes.component.logs import get_logger

from .core.table import Refusal, Route

log = get_logger("complaints")


class Complaints:
    """Records Warnings about services."""

    def __init__(self, events: EventRecorder, services: Informer[Service]) -> None:
        self._events = events
        self._services = services

    def unbound(self, route: Route, error: OSError) -> None:
        """A front cannot be listened on; it is being tried again."""
        address, port = route.front
        log.error(
            "cannot listen, will retry",
            service=route.service,
            port_name=route.port_name,
            address=address,
            port=port,
            error=error.strerror,
        )
        text = f"cannot listen on {address}:{port}: {error.strerror}"
        self._warn(route.service, "FailedListen", text)

    def refused(self, refusal: Refusal) -> None:
        """Part of a service makes no sense, or belongs to another."""
        log.error("service refused", service=refusal.service, reason=refusal.reason)
        self._warn(refusal.service, "InconsistentService", refusal.reason)

    def _warn(self, service: str, reason: str, message: str) -> None:
        namespace, _, name = service.partition("/")
        subject = self._services.get(namespace, name)
        if subject is not None:  # else it is gone by now, or known from the last run only
            self._events.event(subject, "Warning", reason, message)
