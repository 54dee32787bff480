"""Discovery: which groups, versions and resources this server has, in every form asked for.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/discovery, and KEP-3352.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pybernetes.machinery.resource import Json, Resource

_GROUP_ORDER = (
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
)
"""How Kubernetes sorts groups; kubectl prefers earlier ones when a name is in several."""

_STABILITY = {None: 2, "beta": 1, "alpha": 0}
_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


class Subresource(Protocol):
    """A subresource, as the schema describes it."""

    @property
    def group(self) -> str:
        """Group of the kind that its requests carry."""
        ...

    @property
    def version(self) -> str:
        """Version of that kind."""
        ...

    @property
    def kind(self) -> str:
        """The kind."""
        ...

    @property
    def verbs(self) -> Sequence[str]:
        """What can be done with it."""
        ...


class Served(Protocol):
    """A resource, as the schema describes it: a `pybernetes.schema.scheme.ResourceType`."""

    @property
    def resource(self) -> Resource:
        """Its coordinates."""
        ...

    @property
    def singular(self) -> str:
        """Its name for one object."""
        ...

    @property
    def short_names(self) -> Sequence[str]:
        """What people may type instead."""
        ...

    @property
    def categories(self) -> Sequence[str]:
        """Sets that it belongs to, such as `all`."""
        ...

    @property
    def verbs(self) -> Sequence[str]:
        """What can be done with it."""
        ...

    @property
    def subresources(self) -> Mapping[str, Subresource]:
        """Its subresources by name."""
        ...


class Discovery:
    """Every document of discovery, for a fixed set of resources."""

    def __init__(self, served: Iterable[Served]) -> None:
        self._groups: dict[str, dict[str, list[Served]]] = {}
        for one in sorted(served, key=lambda found: found.resource.plural):
            group = self._groups.setdefault(one.resource.group, {})
            group.setdefault(one.resource.version, []).append(one)

    def legacy_versions(self, server_address: str) -> Json:
        """Return `/api`: APIVersions. `server_address` is `host:port`, as clients reach it."""
        return {
            "kind": "APIVersions",
            "versions": self._versions(""),
            "serverAddressByClientCIDRs": [
                {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
            ],
        }

    def group_list(self) -> Json:
        """Return `/apis`: APIGroupList."""
        groups = [self._group(group) for group in self._named_groups()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, group: str) -> Json | None:
        """Return `/apis/<group>`: APIGroup; None if there is no such group."""
        if not group or group not in self._groups:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(group)}

    def resource_list(self, group: str, version: str) -> Json | None:
        """Return `/apis/<group>/<version>`: APIResourceList; None if there is no such version."""
        served = self._groups.get(group, {}).get(version)
        if served is None:
            return None
        listed: list[Json] = []
        for one in served:
            listed.append(_resource(one))
            listed += [
                _subresource(one, name, one.subresources[name]) for name in sorted(one.subresources)
            ]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": listed,
        }

    def aggregated_legacy(self, version: str = "v2") -> Json:
        """Return `/api` in the aggregated form: the core group's resources."""
        return _aggregate([self._aggregated_group("")], version)

    def aggregated(self, version: str = "v2") -> Json:
        """Return `/apis` in the aggregated form: everything at once."""
        groups = [self._aggregated_group(group) for group in self._named_groups()]
        return _aggregate(groups, version)

    def _named_groups(self) -> list[str]:
        return sorted((group for group in self._groups if group), key=_group_key)

    def _versions(self, group: str) -> list[str]:
        return sorted(self._groups.get(group, {}), key=version_key, reverse=True)

    def _group(self, group: str) -> Json:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version}
            for version in self._versions(group)
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _aggregated_group(self, group: str) -> Json:
        return {
            "metadata": {"name": group, "creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated(one) for one in self._groups[group][version]],
                    "freshness": "Current",
                }
                for version in self._versions(group)
            ],
        }


def version_key(version: str) -> tuple[int, int, int, str]:
    """Return a key that sorts versions: v1beta1 < v1 < v2; unknown forms come first."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0, version)
    major, stability, minor = match.groups()
    return (_STABILITY[stability], int(major), int(minor or 0), version)


def _group_key(group: str) -> tuple[int, str]:
    rank = _GROUP_ORDER.index(group) if group in _GROUP_ORDER else len(_GROUP_ORDER)
    return (rank, group)


def _aggregate(groups: list[Json], version: str) -> Json:
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": groups,
    }


def _resource(served: Served) -> Json:
    found: Json = {
        "name": served.resource.plural,
        "singularName": served.singular,
        "namespaced": served.resource.namespaced,
        "kind": served.resource.kind,
        "verbs": list(served.verbs),
    }
    if served.short_names:
        found["shortNames"] = list(served.short_names)
    if served.categories:
        found["categories"] = list(served.categories)
    return found


def _subresource(served: Served, name: str, subresource: Subresource) -> Json:
    found: Json = {
        "name": f"{served.resource.plural}/{name}",
        "singularName": "",
        "namespaced": served.resource.namespaced,
        "kind": subresource.kind,
        "verbs": list(subresource.verbs),
    }
    if _is_foreign(served, subresource):
        found["group"], found["version"] = subresource.group, subresource.version
    return found


def _aggregated(served: Served) -> Json:
    found: Json = {
        "resource": served.resource.plural,
        "responseKind": {"group": "", "version": "", "kind": served.resource.kind},
        "scope": "Namespaced" if served.resource.namespaced else "Cluster",
        "singularResource": served.singular,
        "verbs": list(served.verbs),
    }
    if served.short_names:
        found["shortNames"] = list(served.short_names)
    if served.categories:
        found["categories"] = list(served.categories)
    if served.subresources:
        found["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(served, served.subresources[name]),
                "verbs": list(served.subresources[name].verbs),
            }
            for name in sorted(served.subresources)
        ]
    return found


def _response_kind(served: Served, subresource: Subresource) -> Json:
    is_foreign = _is_foreign(served, subresource)
    return {
        "group": subresource.group if is_foreign else "",
        "version": subresource.version if is_foreign else "",
        "kind": subresource.kind,
    }


def _is_foreign(served: Served, subresource: Subresource) -> bool:
    own = (served.resource.group, served.resource.version)
    return (subresource.group, subresource.version) not in (own, ("", ""))
