"""Scheme: kinds and resources by every name they have."""

from pybernetes.machinery.resource import Resource
from pybernetes.schema import scheme
from pybernetes.schema.types import ALL_VERBS, Scalar, Subresource

LOADED = scheme.load()


def test_a_resource_is_found_by_plural_and_by_kind() -> None:
    found = LOADED.by_plural("apps", "v1", "deployments")
    assert found is not None
    assert found is LOADED.by_kind("apps", "v1", "Deployment")
    assert found.resource == Resource("apps", "v1", "Deployment", "deployments", True)
    assert (found.singular, found.short_names, found.categories, found.list_kind) == (
        "deployment",
        ("deploy",),
        ("all",),
        "DeploymentList",
    )
    assert found.verbs == ALL_VERBS
    assert found.subresources["scale"] == Subresource(
        "autoscaling", "v1", "Scale", ("get", "patch", "update")
    )


def test_what_is_not_served_is_not_found() -> None:
    assert LOADED.by_plural("apps", "v1", "pods") is None
    assert LOADED.by_kind("autoscaling", "v1", "Scale") is None
    assert LOADED.kind("autoscaling", "v1", "Scale") is not None


def test_kinds_of_meta_are_found_without_a_group() -> None:
    status = LOADED.kind("", "v1", "Status")
    assert status is not None
    assert status.name == "meta.v1.Status"


def test_every_subresource_and_list_has_a_type() -> None:
    for served in LOADED.resources():
        for sub in served.subresources.values():
            assert LOADED.kind(sub.group, sub.version, sub.kind), sub
        if "list" in served.verbs:
            place = served.resource.group, served.resource.version
            assert LOADED.kind(*place, served.list_kind)


def test_the_core_group_comes_first() -> None:
    assert LOADED.group_versions()[0] == ("", "v1")
    assert ("autoscaling", "v2") in LOADED.group_versions()


def test_inlined_messages_are_dissolved() -> None:
    volume = LOADED.types["core.v1.Volume"]
    assert {"name", "emptyDir", "configMap"} <= volume.fields.keys()
    assert "volumeSource" not in volume.fields


def test_fields_carry_kubernetes_numbers_and_rules() -> None:
    ports = LOADED.types["core.v1.ServiceSpec"].fields["ports"]
    assert (ports.number, ports.merge_key, ports.keys) == (1, "port", ("port", "protocol"))
    cluster_ip = LOADED.types["core.v1.ServiceSpec"].fields["clusterIP"]
    assert (cluster_ip.number, cluster_ip.scalar, cluster_ip.presence) == (3, Scalar.STRING, False)
