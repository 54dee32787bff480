"""What every namespace has: the ServiceAccount `default`, and the cluster's authority.

Source: Kubernetes pkg/controller/serviceaccount, pkg/controller/certificates/rootcacertpublisher.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pybernetes.api.core_v1 import ConfigMap, Namespace, ServiceAccount

from ..actions import Action, Create, Patch

DEFAULT = "default"
ROOT_CA = "kube-root-ca.crt"
CA_KEY = "ca.crt"
DESCRIPTION = "kubernetes.io/description"
ABOUT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    namespace: Namespace
    account: ServiceAccount | None
    root_ca: ConfigMap | None
    authority: str
    """Certificates in PEM; empty: nothing is published."""


def reconcile(seen: Observed) -> Iterator[Action]:
    """Create what is missing, and restore the authority if somebody changed it."""
    namespace = seen.namespace
    if namespace.metadata.deletion_timestamp is not None:
        return
    name = namespace.metadata.name
    if seen.account is None:
        yield Create(ServiceAccount, {"metadata": {"name": DEFAULT, "namespace": name}})
    if not seen.authority:
        return
    data = {CA_KEY: seen.authority}
    if seen.root_ca is None:
        meta = {"name": ROOT_CA, "namespace": name, "annotations": {DESCRIPTION: ABOUT}}
        yield Create(ConfigMap, {"metadata": meta, "data": data})
    elif seen.root_ca.data != data:
        foreign: dict[str, str | None] = {key: None for key in seen.root_ca.data if key != CA_KEY}
        yield Patch(seen.root_ca, {"data": foreign | data})
