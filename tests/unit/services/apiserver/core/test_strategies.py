"""Every kind's rules, behind the schema's normalisation, as the shell applies them."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.component.ids import SequentialIds
from pybernetes.machinery.errors import Conflict, Invalid
from pybernetes.machinery.resource import Resource
from pybernetes.schema import normalise, scheme, validate
from services.apiserver.core import convert, meta, strategies, validation
from services.apiserver.core.resource import Context
from services.apiserver.core.resources import pods, services

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Tree = dict[str, Any]


def create(kind: str, api_version: str = "v1", *, name: str = "web", **parts: Any) -> Tree:
    group, _, version = api_version.rpartition("/")
    served = scheme.load().by_kind(group, version, kind)
    assert served is not None
    resource = served.resource
    metadata = {"name": name, **parts.pop("metadata", {})}
    obj: Tree = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
    assert normalise.normalise(served.type, obj) == []
    strategy = strategies.for_resource(resource.group, resource.plural)
    strategy.default(obj)
    namespace = "default" if resource.namespaced else ""
    meta.prepare_metadata_for_create(obj, resource, namespace, NOW, SequentialIds())
    strategy.prepare_for_create(obj, Context(now=NOW))
    validation.check_create(obj, resource, strategy, validate.validate(served.type, obj))
    obj["metadata"]["resourceVersion"] = "1"
    return obj


def update(old: Tree, change: Any, *, subresource: str = "") -> Tree:
    new = copy.deepcopy(old)
    change(new)
    group, _, version = old["apiVersion"].rpartition("/")
    served = scheme.load().by_kind(group, version, old["kind"])
    assert served is not None
    resource = served.resource
    strategy = strategies.for_resource(resource.group, resource.plural)
    normalise.normalise(served.type, new)
    strategy.default(new)
    namespace = old["metadata"].get("namespace", "")
    name = old["metadata"]["name"]
    meta.prepare_metadata_for_update(new, old, resource, name=name, namespace=namespace)
    strategy.prepare_for_update(new, old, Context(now=NOW, subresource=subresource))
    structural = validate.validate(served.type, new)
    validation.check_update(new, old, resource, strategy, structural, subresource=subresource)
    return new


def causes(caught: pytest.ExceptionInfo[Invalid]) -> dict[str, str]:
    return {cause.field: cause.message for cause in caught.value.causes}


CONTAINER = {"name": "c", "image": "nginx:1.25"}


def template(**spec: Any) -> Tree:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [dict(CONTAINER)], **spec},
    }


def deployment(**spec: Any) -> Tree:
    base = {"selector": {"matchLabels": {"app": "web"}}, "template": template()}
    return create("Deployment", "apps/v1", spec={**base, **spec})


def pod(**spec: Any) -> Tree:
    return create("Pod", spec={"containers": [dict(CONTAINER)], **spec})


def service(**spec: Any) -> Tree:
    base = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    return create("Service", spec={**base, **spec})


def test_a_deployment_gets_its_defaults() -> None:
    obj = deployment()
    assert obj["metadata"]["generation"] == 1
    assert obj["spec"]["replicas"] == 1
    assert obj["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    container = obj["spec"]["template"]["spec"]["containers"][0]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert obj["status"] == {}


def test_negative_replicas_are_refused_in_kubernetes_words() -> None:
    with pytest.raises(Invalid) as caught:
        deployment(replicas=-1)
    assert caught.value.message == (
        'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: '
        "must be greater than or equal to 0"
    )


def test_a_deployments_selector_must_match_its_template() -> None:
    with pytest.raises(Invalid, match="`selector` does not match template `labels`"):
        deployment(selector={"matchLabels": {"app": "db"}})


def test_a_rollout_must_be_able_to_move() -> None:
    stuck = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}
    with pytest.raises(Invalid, match="may not be 0 when `maxSurge` is 0"):
        deployment(strategy=stuck)


def test_only_a_change_of_what_is_wanted_makes_a_generation() -> None:
    old = deployment()
    assert update(old, lambda new: None)["metadata"]["generation"] == 1
    scaled = update(old, lambda new: new["spec"].update(replicas=5))
    assert scaled["metadata"]["generation"] == 2
    reported = update(old, lambda new: new.update(status={"replicas": 1}), subresource="status")
    assert reported["metadata"]["generation"] == 1


def test_spec_and_status_are_written_through_their_own_endpoints() -> None:
    def change(new: Tree) -> None:
        new["spec"]["replicas"] = 7
        new["status"] = {"replicas": 7}

    old = deployment()
    by_main = update(old, change)
    assert (by_main["spec"]["replicas"], by_main["status"]) == (7, {})
    by_status = update(old, change, subresource="status")
    assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (1, 7)


def test_a_selector_never_changes() -> None:
    def change(new: Tree) -> None:
        new["spec"]["selector"]["matchLabels"] = {"app": "web", "x": "y"}
        new["spec"]["template"]["metadata"]["labels"] = {"app": "web", "x": "y"}

    with pytest.raises(Invalid) as caught:
        update(deployment(), change)
    assert causes(caught)["spec.selector"].endswith(": field is immutable")


def test_a_pod_gets_what_admission_would_give_it() -> None:
    obj = pod()
    spec = obj["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["enableServiceLinks"] is True
    assert spec["priority"] == 0
    assert [(found["key"], found["tolerationSeconds"]) for found in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    assert obj["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_pod_that_tolerates_everything_gets_no_more_tolerations() -> None:
    assert len(pod(tolerations=[{"operator": "Exists"}])["spec"]["tolerations"]) == 1


def test_limits_become_requests_and_the_class_follows() -> None:
    limits = {"cpu": "0.5", "memory": "64Mi"}
    obj = pod(containers=[{**CONTAINER, "resources": {"limits": limits}}])
    assert obj["spec"]["containers"][0]["resources"]["requests"] == {
        "cpu": "500m",
        "memory": "64Mi",
    }
    assert obj["status"]["qosClass"] == "Guaranteed"
    burst = pod(containers=[{**CONTAINER, "resources": {"requests": {"cpu": "1"}}}])
    assert burst["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ],
)
def test_only_moving_tags_are_pulled_always(image: str, policy: str) -> None:
    obj = pod(containers=[{"name": "c", "image": image}])
    assert obj["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"containers": []}, "spec.containers", "Required value"),
        ({"containers": [{"name": "c"}]}, "spec.containers[0].image", "Required value"),
        (
            {"containers": [CONTAINER, CONTAINER]},
            "spec.containers[1].name",
            'Duplicate value: "c"',
        ),
        (
            {"containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            "spec.containers[0].volumeMounts[0].name",
            'Not found: "v"',
        ),
        (
            {"containers": [{**CONTAINER, "readinessProbe": {"periodSeconds": 1}}]},
            "spec.containers[0].readinessProbe",
            "Required value: must specify a handler type",
        ),
        (
            {
                "containers": [
                    {
                        **CONTAINER,
                        "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
                    }
                ]
            },
            "spec.containers[0].resources.requests",
            'Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"containers": [{**CONTAINER, "ports": [{"containerPort": 70000}]}]},
            "spec.containers[0].ports[0].containerPort",
            "Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            {"restartPolicy": "Sometimes"},
            "spec.restartPolicy",
            'Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
        ),
    ],
)
def test_a_bad_pod_is_refused_with_the_field_named(spec: Tree, field: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        pod(**copy.deepcopy(spec))
    assert causes(caught) == {field: message}


def test_almost_nothing_of_a_pod_may_change() -> None:
    old = pod()

    def image(new: Tree) -> None:
        new["spec"]["containers"][0]["image"] = "nginx:1.26"

    def toleration(new: Tree) -> None:
        new["spec"]["tolerations"].append({"key": "a", "operator": "Exists"})

    assert update(old, image)["metadata"]["generation"] == 2
    update(old, toleration)
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        update(old, lambda new: new["spec"].update(nodeName="n1"))
    with pytest.raises(Invalid, match="existing toleration can not be modified"):
        update(old, lambda new: new["spec"].update(tolerations=[]))


def test_a_pods_status_mirrors_its_address() -> None:
    reported = update(
        pod(),
        lambda new: new.update(status={"phase": "Running", "podIP": "10.0.0.1"}),
        subresource="status",
    )
    assert reported["status"] == {
        "phase": "Running",
        "qosClass": "BestEffort",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
    }


def test_a_pod_is_bound_once() -> None:
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}}
    bound = pods.bind(pod(), binding, NOW)
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    ]
    with pytest.raises(Conflict, match='pod web is already assigned to node "n1"'):
        pods.bind(bound, binding, NOW)


def test_pods_are_selected_by_node_and_phase() -> None:
    fields = strategies.for_resource("", "pods").selectable_fields(pod())
    assert fields["spec.nodeName"] == ""
    assert fields["status.phase"] == "Pending"
    assert fields["spec.hostNetwork"] == "false"
    assert fields["metadata.namespace"] == "default"


def test_a_service_gets_its_defaults_and_keeps_what_was_allocated() -> None:
    old = service(type="NodePort")
    assert old["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert old["spec"]["externalTrafficPolicy"] == "Cluster"
    assert services.needs_cluster_ip(old)
    services.set_cluster_ip(old, "10.96.0.7")
    for port in services.ports_without_node_port(old):
        port["nodePort"] = 30080

    def forget(new: Tree) -> None:
        for key in ("clusterIP", "clusterIPs"):
            del new["spec"][key]
        new["spec"]["ports"] = [{"port": 80, "targetPort": 8080}]

    kept = update(old, forget)
    assert kept["spec"]["clusterIPs"] == ["10.96.0.7"]
    assert kept["spec"]["ports"][0]["nodePort"] == 30080
    plain = update(old, lambda new: new["spec"].update(type="ClusterIP"))
    assert services.node_ports(plain) == []
    with pytest.raises(Invalid, match="may not change once set"):
        update(old, lambda new: services.set_cluster_ip(new, "10.96.0.8"))


def test_a_headless_service_needs_no_address_and_no_ports() -> None:
    headless = service(clusterIP="None", ports=[])
    assert not services.needs_cluster_ip(headless)
    assert headless["spec"]["clusterIPs"] == ["None"]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"ports": []}, "spec.ports", "Required value"),
        (
            {"ports": [{"port": 80}, {"port": 81, "name": "b"}]},
            "spec.ports[0].name",
            "Required value",
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            "spec.ports[0].nodePort",
            "Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            {"clusterIP": "here"},
            "spec.clusterIPs[0]",
            'Invalid value: "here": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
        ({"type": "ExternalName"}, "spec.externalName", "Required value"),
    ],
)
def test_a_bad_service_is_refused_with_the_field_named(
    spec: Tree, field: str, message: str
) -> None:
    with pytest.raises(Invalid) as caught:
        service(**spec)
    assert causes(caught) == {field: message}


def test_a_secrets_plain_strings_become_data() -> None:
    obj = create("Secret", stringData={"password": "x"}, data={"user": "eQ=="})
    assert obj["data"] == {"user": "eQ==", "password": "eA=="}
    assert obj["type"] == "Opaque"
    assert "stringData" not in obj


def test_an_immutable_config_map_stays() -> None:
    old = create("ConfigMap", data={"a": "1"}, immutable=True)
    with pytest.raises(Invalid, match="field is immutable when `immutable` is set"):
        update(old, lambda new: new["data"].update(a="2"))
    with pytest.raises(Invalid, match="a valid config key must consist of"):
        create("ConfigMap", data={"a b": "1"})


def test_a_namespace_is_labelled_and_held() -> None:
    obj = create("Namespace", name="team")
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["status"] == {"phase": "Active"}
    kept = update(obj, lambda new: new["spec"].update(finalizers=[]))
    assert kept["spec"]["finalizers"] == ["kubernetes"]
    done = update(obj, lambda new: new["spec"].update(finalizers=[]), subresource="finalize")
    assert done["spec"]["finalizers"] == []


def test_a_node_registers_with_its_status() -> None:
    obj = create("Node", status={"capacity": {"cpu": "2", "memory": "1Gi"}})
    assert obj["status"]["allocatable"] == {"cpu": "2", "memory": "1Gi"}
    with pytest.raises(Invalid) as caught:
        create("Node", spec={"taints": [{"key": "a", "effect": "Maybe"}]})
    assert "spec.taints[0].effect" in causes(caught)


def test_a_job_selects_its_own_pods_only() -> None:
    obj = create("Job", "batch/v1", spec={"template": template(restartPolicy="Never")})
    uid = obj["metadata"]["uid"]
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert obj["spec"]["template"]["metadata"]["labels"]["job-name"] == "web"
    assert (obj["spec"]["completions"], obj["spec"]["backoffLimit"]) == (1, 6)
    with pytest.raises(Invalid, match="spec.template.spec.restartPolicy: Unsupported value"):
        create("Job", "batch/v1", spec={"template": template(restartPolicy="Always")})


def test_an_endpoint_slices_addresses_are_of_its_type() -> None:
    with pytest.raises(Invalid) as caught:
        create(
            "EndpointSlice",
            "discovery.k8s.io/v1",
            addressType="IPv4",
            endpoints=[{"addresses": ["::1"]}],
        )
    assert causes(caught) == {
        "endpoints[0].addresses[0]": 'Invalid value: "::1": must be an IPv4 address'
    }


def test_a_binding_keeps_its_role() -> None:
    old = create(
        "RoleBinding",
        "rbac.authorization.k8s.io/v1",
        name="team:devs",
        roleRef={"kind": "Role", "name": "a"},
        subjects=[{"kind": "User", "name": "u"}],
    )
    assert old["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    with pytest.raises(Invalid, match="cannot change roleRef"):
        update(old, lambda new: new["roleRef"].update(name="b"))


def test_a_stateful_sets_identity_stays() -> None:
    base = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": template(),
        "serviceName": "web",
    }
    old = create("StatefulSet", "apps/v1", spec=base)
    update(old, lambda new: new["spec"].update(replicas=3))
    with pytest.raises(Invalid, match="updates to statefulset spec for fields other than"):
        update(old, lambda new: new["spec"].update(serviceName="other"))


def test_an_unknown_resource_has_a_strategy_too() -> None:
    strategy = strategies.for_resource("example.com", "widgets")
    obj: Tree = {"metadata": {"name": "x"}, "spec": {}}
    strategy.prepare_for_create(obj, Context(now=NOW))
    resource = Resource("example.com", "v1", "Widget", "widgets", True)
    with pytest.raises(Invalid, match=r'Widget.example.com "x" is invalid: metadata.namespace'):
        validation.check_create(obj, resource, strategy)


def test_an_event_stands_where_its_object_stands_in_both_versions() -> None:
    about = {"kind": "Pod", "name": "web", "namespace": "default"}
    create("Event", involvedObject=about, reason="Pulled", type="Normal")
    new: Tree = {
        "regarding": about,
        "reason": "Pulled",
        "type": "Normal",
        "action": "Pulling",
        "note": "x",
        "reportingController": "a.io/kubelet",
        "reportingInstance": "n1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    event = create("Event", "events.k8s.io/v1", **copy.deepcopy(new))
    fields = strategies.for_resource("events.k8s.io", "events").selectable_fields(event)
    assert fields["regarding.name"] == "web"
    about["namespace"] = "other"
    with pytest.raises(Invalid, match=r"regarding.namespace: Invalid value: \"other\": does not"):
        create("Event", "events.k8s.io/v1", **new)


def test_an_autoscaler_of_the_old_version_stays_of_the_old_version() -> None:
    obj = create(
        "HorizontalPodAutoscaler",
        "autoscaling/v1",
        spec={"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
    )
    assert obj["spec"]["minReplicas"] == 1
    assert "metrics" not in obj["spec"]
    assert "metrics" in convert.to_storage(obj, convert.OLD_AUTOSCALERS)["spec"]
