"""Pod templates: when two are the same, and the short hash that names one.

Source: Kubernetes pkg/controller/deployment/util (EqualIgnoreHash), pkg/controller
(ComputeHash), apimachinery util/rand (SafeEncodeString). Differs: the hash is over canonical JSON,
not over Go's dump of the struct, so the same template has another hash than with Kubernetes.
"""

import json
from collections.abc import Mapping

import msgspec

from pybernetes.api.core_v1 import PodTemplateSpec

from .actions import tree_of

HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def equal_ignoring_hash(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Return whether pods made from either would be the same."""
    return _without_hash(a) == _without_hash(b)


def template_hash(template: PodTemplateSpec, collisions: int | None) -> str:
    """Return the hash of a template; another one for each number of collisions."""
    text = json.dumps(tree_of(template), sort_keys=True, separators=(",", ":"))
    content = text.encode()
    if collisions is not None:
        content += collisions.to_bytes(8, "little")
    return safe_encode(str(_fnv32a(content)))


def safe_encode(text: str) -> str:
    """Return `text` in characters that spell no words."""
    return "".join(_ALPHABET[ord(char) % len(_ALPHABET)] for char in text)


def with_hash_label(labels: Mapping[str, str], value: str) -> dict[str, str]:
    """Return the labels with that of the hash."""
    return {**labels, HASH_LABEL: value}


def _without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    labels = template.metadata.labels
    if HASH_LABEL not in labels:
        return template
    kept = {key: value for key, value in labels.items() if key != HASH_LABEL}
    metadata = msgspec.structs.replace(template.metadata, labels=kept)
    return msgspec.structs.replace(template, metadata=metadata)


def _fnv32a(content: bytes) -> int:
    value = _FNV_OFFSET
    for byte in content:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value
