"""Carries out probes and hooks: commands, HTTP, TCP."""

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Protocol

import aiohttp

from pybernetes.api.core_v1 import (
    Container,
    ExecAction,
    HTTPGetAction,
    Pod,
    Probe,
    TCPSocketAction,
)
from pybernetes.component.logs import get_logger

from .core.probes import Kind, Verdict
from .runtime.protocol import ContainerRuntime, StartError

OUTPUT_BYTES_MAX = 10 << 10
STATUS_GOOD = range(200, 400)

log = get_logger("prober")


class Action(Protocol):
    """What probes and hooks have in common."""

    @property
    def exec(self) -> ExecAction | None: ...  # noqa: D102
    @property
    def http_get(self) -> HTTPGetAction | None: ...  # noqa: D102
    @property
    def tcp_socket(self) -> TCPSocketAction | None: ...  # noqa: D102


Result = tuple[bool, str]
"""Whether it went well, and what was said."""


class Prober:
    """Performs single actions against containers of this node."""

    def __init__(self, runtime: ContainerRuntime) -> None:
        self._runtime = runtime
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # as the kubelet: a probe asks for life, not identity

    async def perform(
        self, uid: str, container: Container, action: Action, ip: str, timeout_s: float
    ) -> Result:
        """Carry out one action; a timeout is a failure."""
        try:
            async with asyncio.timeout(timeout_s):
                if action.exec is not None:
                    return await self._exec(uid, container, action.exec)
                if action.http_get is not None:
                    return await self._http(container, action.http_get, ip)
                if action.tcp_socket is not None:
                    return await self._tcp(container, action.tcp_socket, ip)
        except TimeoutError:
            return False, f"timed out after {timeout_s:g} s"
        return True, ""

    async def _exec(self, uid: str, container: Container, action: ExecAction) -> Result:
        try:
            session = await self._runtime.exec(
                uid, container.name, action.command, tty=False, stdin=False
            )
        except StartError as error:
            return False, str(error)
        try:
            said = b""
            async for _, data in session.output():
                said = (said + data)[:OUTPUT_BYTES_MAX]
            return await session.wait() == 0, said.decode(errors="replace").strip()
        finally:
            await session.close()

    async def _http(self, container: Container, action: HTTPGetAction, ip: str) -> Result:
        port = port_number(container, action.port)
        scheme = (action.scheme or "HTTP").lower()
        url = f"{scheme}://{action.host or ip}:{port}/{action.path.lstrip('/')}"
        headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*"}
        headers |= {header.name: header.value for header in action.http_headers}
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(url, headers=headers, ssl=self._tls, allow_redirects=False) as answer,
            ):
                good = answer.status in STATUS_GOOD
                return good, "" if good else f"HTTP probe failed with statuscode: {answer.status}"
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.os_error.errno or 0).lower()
            return False, f'Get "{url}": dial tcp {action.host or ip}:{port}: connect: {reason}'
        except (aiohttp.ClientError, OSError) as error:
            return False, f'Get "{url}": {error}'

    async def _tcp(self, container: Container, action: TCPSocketAction, ip: str) -> Result:
        port = port_number(container, action.port)
        try:
            _, writer = await asyncio.open_connection(action.host or ip, port)
        except OSError as error:
            return False, f"dial tcp {ip}:{port}: {error.strerror or error}"
        writer.close()
        return True, ""


async def probe_for_ever(
    prober: Prober,
    pod: Pod,
    container: Container,
    kind: Kind,
    probe: Probe,
    ip: str,
    known: Verdict,
    tell: Callable[[Kind, Verdict, str], None],
) -> None:
    """Probe again and again; `tell` each verdict, with what a failure said.

    A startup probe ends when it has passed.
    """
    verdict = known
    await asyncio.sleep(probe.initial_delay_seconds)
    while True:
        timeout_s = float(probe.timeout_seconds or 1)
        good, said = await prober.perform(pod.metadata.uid, container, probe, ip, timeout_s)
        verdict = verdict.seen(probe, success=good)
        tell(kind, verdict, "" if good else said)
        if kind is Kind.STARTUP and verdict.good:
            return
        await asyncio.sleep(probe.period_seconds or 10)


def port_number(container: Container, port: int | str | None) -> int:
    """Return a port given by number or by the name it has in its container; 0 when unknown."""
    if isinstance(port, int):
        return port
    for each in container.ports:
        if each.name == port:
            return each.container_port
    return int(port) if port and port.isdigit() else 0
