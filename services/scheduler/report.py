"""Saying what was decided: events for humans, and the pod's condition PodScheduled."""

from pybernetes.api.core_v1 import Pod
from pybernetes.client.events import EventRecorder
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors, timestamps
from pybernetes.machinery.resource import Json

log = get_logger("scheduler")


class Reporter:
    """Tells users of each decision. A report that cannot be delivered delays no decision."""

    def __init__(self, client: ObjectsClient, recorder: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock

    def scheduled(self, pod: Pod, node: str) -> None:
        """Say that a pod has its node."""
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        log.info("pod bound", pod=name, node=node)
        self._recorder.event(pod, "Normal", "Scheduled", f"Successfully assigned {name} to {node}")

    async def failed(self, pod: Pod, reason: str, message: str) -> None:
        """Say why a pod has none; `reason` is the condition's."""
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        log.info("pod not bound", pod=name, reason=reason, message=message)
        self._recorder.event(pod, "Warning", "FailedScheduling", message)
        patch = self._condition(pod, reason, message)
        if patch is None:
            return
        try:
            await self._client.patch(
                Pod,
                pod.metadata.name,
                patch,
                pod.metadata.namespace,
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
        except (errors.NotFound, errors.Conflict):
            log.debug("pod changed before its condition was set", pod=name)
        except errors.ApiError as error:  # the next refusal says it again
            log.warning("condition not set", pod=name, message=error.message)

    def _condition(self, pod: Pod, reason: str, message: str) -> Json | None:
        """Return the patch that sets PodScheduled to False; None if it says so already."""
        now = self._clock.now()
        since = now
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and condition.status == "False":
                if (condition.reason, condition.message) == (reason, message):
                    return None
                since = condition.last_transition_time or now
        wanted = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": timestamps.format(since),
        }
        return {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [wanted]}}
