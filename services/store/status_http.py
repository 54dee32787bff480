"""How a member is, over plain HTTP: /metrics, /health, /livez, /readyz, /version, as etcd's."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson

from pybernetes.component.metrics import CONTENT_TYPE, Metrics
from pybernetes.transport.http.reply import Reply
from pybernetes.transport.http.request import Request

from .core.command import AlarmType, Range
from .core.errors import NoLeader, StoreError, UserEmpty
from .servicers.maintenance import ETCD_VERSION
from .store import Store

CHECK_S = 5.0
"""A check that takes longer has failed."""

Check = Callable[[], Awaitable[str]]
"""Says what is wrong; nothing if all is well."""


class StatusPages:
    """The pages of one member."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        readable: dict[str, Check] = {"serializable_read": self._serializable_read}
        self._checks: dict[str, dict[str, Check]] = {
            "livez": readable,
            "readyz": {
                "data_corruption": self._data_corruption,
                **readable,
                "linearizable_read": self._linearizable_read,
            },
        }

    async def serve(self, request: Request, reply: Reply) -> None:
        """Answer one request."""
        kind, _, rest = request.path.strip("/").partition("/")
        if request.method not in ("GET", "HEAD"):
            await _respond(reply, 405, b"Method Not Allowed\n", ("Allow", "GET"))
        elif kind == "metrics" and not rest:
            await _respond(reply, 200, self._metrics.text(), ("Content-Type", CONTENT_TYPE))
        elif kind == "version" and not rest:
            versions = {"etcdserver": ETCD_VERSION, "etcdcluster": ETCD_VERSION}
            await _respond_json(reply, 200, versions)
        elif kind == "health" and not rest:
            await self._health(request, reply)
        elif kind in self._checks and (not rest or rest in self._checks[kind]):
            await self._probe(request, reply, self._wanted(kind, rest, request.query))
        else:
            await _respond(reply, 404, b"404 page not found\n")

    def _wanted(self, kind: str, only: str, query: list[tuple[str, str]]) -> dict[str, Check]:
        checks = self._checks[kind]
        if only:
            return {only: checks[only]}
        return {name: check for name, check in checks.items() if ("exclude", name) not in query}

    async def _health(self, request: Request, reply: Reply) -> None:
        """Answer what load balancers and kube-apiserver ask of an etcd."""
        query = request.query
        reason = await self._illness(
            excluded=[value for name, value in query if name == "exclude"],
            is_serializable=("serializable", "true") in query,
        )
        health = {"health": "false" if reason else "true", "reason": reason}
        await _respond_json(reply, 503 if reason else 200, health)

    async def _illness(self, excluded: list[str], *, is_serializable: bool) -> str:
        for raised in self._store.machine.state.alarms.all():
            if raised.alarm.name not in excluded:
                return f"ALARM {raised.alarm.name}"
        if not is_serializable and not self._store.leader_id():
            return "RAFT NO LEADER"
        error = await self._read(is_serializable=is_serializable)
        return f"QGET ERROR:{error}" if error else ""

    async def _probe(self, request: Request, reply: Reply, checks: dict[str, Check]) -> None:
        lines, is_well = [], True
        for name, check in checks.items():
            error = await check()
            is_well = is_well and not error
            lines.append(f"[-]{name} failed: {error}" if error else f"[+]{name} ok")
        is_verbose = any(name == "verbose" for name, _ in request.query)
        if is_well:
            lines = [*(lines if is_verbose else ()), "ok"]
        await _respond(reply, 200 if is_well else 503, "\n".join((*lines, "")).encode())

    async def _serializable_read(self) -> str:
        return await self._read(is_serializable=True)

    async def _linearizable_read(self) -> str:
        return await self._read(is_serializable=False)

    async def _data_corruption(self) -> str:
        raised = self._store.machine.state.alarms.all(AlarmType.CORRUPT)
        return f"alarm activated: {AlarmType.CORRUPT.name}" if raised else ""

    async def _read(self, *, is_serializable: bool) -> str:
        """Read as a client would; return what is wrong."""
        if not is_serializable and not self._store.leader_id():
            return NoLeader.text
        request = Range(b"\0", b"\0", limit=1, keys_only=True)
        try:
            async with asyncio.timeout(CHECK_S):
                await self._store.range(request, is_serializable=is_serializable)
        except UserEmpty:
            return ""  # there are users: that we know is an answer
        except StoreError as error:
            return error.text
        except TimeoutError:
            return "timed out"
        return ""


async def _respond(
    reply: Reply,
    status: int,
    body: bytes,
    header: tuple[str, str] = ("Content-Type", "text/plain; charset=utf-8"),
) -> None:
    await reply.respond(status, (header, ("X-Content-Type-Options", "nosniff")), body)


async def _respond_json(reply: Reply, status: int, body: object) -> None:
    await _respond(reply, status, orjson.dumps(body), ("Content-Type", "application/json"))
