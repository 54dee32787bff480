"""What describes the server: discovery, OpenAPI, version and health."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial

import orjson

from pybernetes.machinery.errors import ApiError
from pybernetes.machinery.resource import Json
from pybernetes.schema import openapi

from ..cache import Caches
from ..core.discovery import Discovery
from ..offer import Offer
from .messages import JSON_TYPE, TEXT_TYPE, Request, Response
from .negotiate import AGGREGATED, Form, form
from .render import response

HEALTH_S = 2.0
"""A store that does not answer for so long is not ready."""

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "CPython",
    "platform": "linux/amd64",
}


class Documents:
    """Answers to everything that is not a resource."""

    def __init__(
        self, offer: Offer, discovery: Discovery, caches: Caches, server_address: str
    ) -> None:
        self._offer = offer
        self._discovery = discovery
        self._caches = caches
        self._server_address = server_address
        self._made: dict[str, tuple[bytes, str]] = {}

    async def answer(self, request: Request) -> Response | None:
        """Return the document at a path; None if there is none."""
        parts = request.path.strip("/").split("/")
        match parts:
            case [""]:
                return self._cached("/", self._roots, request)
            case ["version"]:
                return self._cached("/version", lambda: VERSION, request)
            case ["livez" | "readyz" | "healthz" as name, *rest]:
                return await self._health(name, rest, request)
            case ["api" | "apis" as root]:
                return self._discover(root, request)
            case ["api", version]:
                return self._resources("", version, request)
            case ["apis", group]:
                found = self._discovery.group(group)
                return None if found is None else self._cached(request.path, lambda: found, request)
            case ["apis", group, version]:
                return self._resources(group, version, request)
            case ["openapi", "v3"]:
                await asyncio.to_thread(self._make_openapi)
                return self._cached("/openapi/v3", self._openapi_index, request)
            case ["openapi", "v3", "api", version]:
                return self._openapi("", version, request)
            case ["openapi", "v3", "apis", group, version]:
                return self._openapi(group, version, request)
        return None

    def _discover(self, root: str, request: Request) -> Response:
        wanted = form(request.header("accept"), AGGREGATED)
        if wanted.convert:
            version = wanted.version
            key = f"{root} {version}"
            make = (
                self._discovery.aggregated_legacy if root == "api" else self._discovery.aggregated
            )
            answer = self._cached(key, lambda: make(version), request)
            kind = f"{JSON_TYPE};g=apidiscovery.k8s.io;v={version};as={AGGREGATED}"
            return Response(answer.status, answer.body, kind, (*answer.headers, ("Vary", "Accept")))
        if root == "api":
            legacy = self._discovery.legacy_versions(self._server_address)
            return self._cached("/api", lambda: legacy, request)
        return self._cached("/apis", self._discovery.group_list, request)

    def _resources(self, group: str, version: str, request: Request) -> Response | None:
        found = self._discovery.resource_list(group, version)
        if found is None:
            return None
        return self._cached(f"/{group}/{version}", lambda: found, request)

    def _make_openapi(self) -> None:
        """Make every OpenAPI document, once: the index names the hash of each."""
        scheme = self._offer.scheme
        for group, version in scheme.group_versions():
            self._make(
                _openapi_key(group, version), partial(openapi.document, scheme, group, version)
            )

    def _openapi_index(self) -> Json:
        pairs = self._offer.scheme.group_versions()
        return openapi.index(
            {pair: self._made[_openapi_key(*pair)][1].strip('"') for pair in pairs}
        )

    def _openapi(self, group: str, version: str, request: Request) -> Response | None:
        scheme = self._offer.scheme
        if (group, version) not in scheme.group_versions():
            return None
        make = partial(openapi.document, scheme, group, version)
        made = self._cached(_openapi_key(group, version), make, request)
        if not request.query.text("hash"):
            return made
        # The hash names the content: what is fetched by it never changes.
        headers = [pair for pair in made.headers if pair[0] != "Cache-Control"]
        headers.append(("Cache-Control", "public, immutable, max-age=31536000"))
        return Response(made.status, made.body, made.content_type, headers)

    def _make(self, key: str, make: Callable[[], Json]) -> tuple[bytes, str]:
        """Return a document and its ETag, made at the first call."""
        made = self._made.get(key)
        if made is None:
            raw = orjson.dumps(make())
            made = self._made[key] = raw, f'"{hashlib.sha256(raw).hexdigest().upper()}"'
        return made

    def _cached(self, key: str, make: Callable[[], Json], request: Request) -> Response:
        raw, etag = self._make(key, make)
        headers = (("ETag", etag), ("Cache-Control", "no-cache, private"))
        if request.header("if-none-match") == etag:
            return Response(304, b"", JSON_TYPE, headers)
        wanted = form(request.header("accept"), AGGREGATED)
        answer = response(raw, Form(wanted.media_type))
        return Response(answer.status, answer.body, answer.content_type, headers)

    def _roots(self) -> Json:
        paths = ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
        for group, version in self._offer.scheme.group_versions():
            paths.append("/" + openapi.root(group, version))
        return {"paths": sorted(paths)}

    async def _health(self, name: str, rest: list[str], request: Request) -> Response | None:
        """Answer a health check; `/livez` says only that we run, the others ask the store."""
        checks = {"ping": ""}
        if name != "livez":
            checks["etcd"] = await self._store_problem()
        if rest and rest != [""]:
            if rest[0] not in checks:
                return None
            checks = {rest[0]: checks[rest[0]]}
        lines = [
            f"[+]{check} ok" if not problem else f"[-]{check} failed: {problem}"
            for check, problem in checks.items()
        ]
        if any(checks.values()):
            text = "\n".join([*lines, f"{name} check failed", ""])
            return Response(500, text.encode(), TEXT_TYPE)
        if request.query.flag("verbose"):
            text = "\n".join([*lines, f"{name} check passed", ""])
            return Response(200, text.encode(), TEXT_TYPE)
        return Response(200, b"ok", TEXT_TYPE)

    async def _store_problem(self) -> str:
        try:
            async with asyncio.timeout(HEALTH_S):
                await self._caches.fresh()
        except ApiError as error:
            return error.message
        except TimeoutError:
            return f"the store did not answer within {HEALTH_S:g} s"
        return ""


def _openapi_key(group: str, version: str) -> str:
    return f"openapi {group}/{version}"
