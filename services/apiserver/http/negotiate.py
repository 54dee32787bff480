"""Content negotiation: in which form an answer is wanted, and in which a body comes.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/negotiation.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pybernetes.machinery.errors import NotAcceptable

from ..decode import JSON_TYPE, YAML_TYPE

TABLE = "Table"
PARTIAL = "PartialObjectMetadata"
PARTIAL_LIST = "PartialObjectMetadataList"
AGGREGATED = "APIGroupDiscoveryList"
_META = "meta.k8s.io"
_DISCOVERY = "apidiscovery.k8s.io"

_ALIASES = {"*/*": JSON_TYPE, "application/*": JSON_TYPE, "text/*": JSON_TYPE}
_YAML_ALIASES = {"application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml"}


REMEMBERED_CHARS_MAX = 256
"""Clients send the same few headers again and again; longer ones are not worth the memory."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is to look."""

    media_type: str = JSON_TYPE
    convert: str = ""
    """Table, PartialObjectMetadata …; empty: the object as it is."""
    version: str = ""
    """Of what it is converted to."""


def form(accept: str, *conversions: str) -> Form:
    """Return the first form that the client accepts and we have. Raises NotAcceptable.

    `conversions` are those that make sense for the answer.
    """
    if len(accept) <= REMEMBERED_CHARS_MAX:
        return _remembered(accept, conversions)
    return _chosen(accept, conversions)


def _chosen(accept: str, conversions: tuple[str, ...]) -> Form:
    if not accept.strip():
        return Form()
    for media_type, parameters in _accepted(accept):
        found = _form(media_type, parameters, conversions)
        if found is not None:
            return found
    raise NotAcceptable(f"only the following media types are accepted: {JSON_TYPE}, {YAML_TYPE}")


_remembered = lru_cache(maxsize=1_000)(_chosen)


def body_type(content_type: str) -> str:
    """Return the media type of a body: JSON without one."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _YAML_ALIASES:
        return YAML_TYPE
    return media_type or JSON_TYPE


def _form(media_type: str, parameters: Mapping[str, str], known: Iterable[str]) -> Form | None:
    if media_type in _YAML_ALIASES:
        media_type = YAML_TYPE
    media_type = _ALIASES.get(media_type, media_type)
    if media_type not in (JSON_TYPE, YAML_TYPE):
        return None
    convert = parameters.get("as", "")
    if not convert:
        return Form(media_type)
    if convert not in known:
        return None
    group, version = parameters.get("g", ""), parameters.get("v", "")
    if convert == AGGREGATED:
        is_known = group == _DISCOVERY and version in ("v2", "v2beta1")
    else:
        is_known = group == _META and version == "v1"
    return Form(media_type, convert, version) if is_known else None


def _accepted(accept: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield what a client accepts, best first."""
    found: list[tuple[float, str, dict[str, str]]] = []
    for part in accept.split(","):
        media_type, *texts = [piece.strip() for piece in part.split(";")]
        parameters = {}
        for text in texts:
            name, _, value = text.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if quality > 0:
            found.append((quality, media_type.lower(), parameters))
    found.sort(key=lambda entry: -entry[0])
    for _, media_type, parameters in found:
        yield media_type, parameters
