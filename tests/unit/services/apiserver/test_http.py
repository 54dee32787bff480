"""The parts of REST that need no socket: paths, media types, the words of refusals."""

import pytest

from pybernetes.machinery.errors import BadRequest, NotAcceptable
from services.apiserver import authz
from services.apiserver.authn import MASTERS, User
from services.apiserver.authz import Access
from services.apiserver.http.messages import Draft, Query
from services.apiserver.http.negotiate import AGGREGATED, PARTIAL, TABLE, Form, body_type, form
from services.apiserver.http.paths import ResourcePath, parse, verb_of

BOB = User("bob", ("dev",))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ResourcePath("", "v1", "pods")),
        ("/api/v1/namespaces", ResourcePath("", "v1", "namespaces")),
        ("/api/v1/namespaces/a", ResourcePath("", "v1", "namespaces", "", "a")),
        (
            "/api/v1/namespaces/a/finalize",
            ResourcePath("", "v1", "namespaces", "", "a", "finalize"),
        ),
        ("/api/v1/namespaces/a/pods", ResourcePath("", "v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/b/log", ResourcePath("", "v1", "pods", "a", "b", "log")),
        (
            "/apis/apps/v1/namespaces/a/deployments/b",
            ResourcePath("apps", "v1", "deployments", "a", "b"),
        ),
        (
            "/api/v1/nodes/n/proxy/stats/summary",
            ResourcePath("", "v1", "nodes", "", "n", "proxy", "stats/summary"),
        ),
        ("/api/v1", None),
        ("/apis/apps/v1", None),
        ("/healthz", None),
    ],
)
def test_a_path_names_a_resource(path: str, expected: ResourcePath | None) -> None:
    assert parse(path) == expected


def test_a_method_and_a_path_make_a_verb() -> None:
    collection = ResourcePath("", "v1", "pods", "a")
    one = ResourcePath("", "v1", "pods", "a", "b")
    nothing, watch = Query([]), Query([("watch", "true")])
    assert verb_of("GET", collection, nothing) == "list"
    assert verb_of("GET", collection, watch) == "watch"
    assert verb_of("GET", one, nothing) == "get"
    assert verb_of("DELETE", collection, nothing) == "deletecollection"
    assert verb_of("DELETE", one, nothing) == "delete"
    assert verb_of("TRACE", one, nothing) == ""


def test_parameters_are_read_by_their_kind() -> None:
    query = Query([("watch", ""), ("n", "3"), ("c", "a"), ("c", "b"), ("bad", "x")])
    assert query.flag("watch")
    assert not query.flag("absent")
    assert query.optional_flag("absent") is None
    assert query.number("n") == 3
    assert query.all("c") == ["a", "b"]
    with pytest.raises(BadRequest):
        query.number("bad")
    with pytest.raises(BadRequest):
        query.flag("bad")


def test_the_first_form_that_we_have_is_chosen() -> None:
    kubectl = (
        "application/json;as=Table;v=v1;g=meta.k8s.io,"
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
    )
    assert form(kubectl, TABLE) == Form(convert=TABLE, version="v1")
    assert form(kubectl) == Form()
    assert form("") == form("*/*") == Form()
    assert form("application/vnd.kubernetes.protobuf,application/json", PARTIAL) == Form()
    assert form("application/yaml") == Form("application/yaml")
    assert form("application/json;q=0.5,application/yaml").media_type == "application/yaml"
    discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert form(discovery, AGGREGATED).version == "v2"
    with pytest.raises(NotAcceptable):
        form("application/vnd.kubernetes.protobuf")


def test_a_body_is_json_unless_it_says_otherwise() -> None:
    assert body_type("") == "application/json"
    assert body_type("application/json; charset=utf-8") == "application/json"
    assert body_type("application/x-yaml") == "application/yaml"


def test_refusals_speak_as_kubernetes_does() -> None:
    refused = authz.denied(BOB, Access(verb="list", resource="pods", namespace="a"))
    assert refused.message == (
        'pods is forbidden: User "bob" cannot list resource "pods" '
        'in API group "" in the namespace "a"'
    )
    one = Access(verb="patch", group="apps", resource="deployments", subresource="scale", name="b")
    assert authz.denied(BOB, one).message == (
        'deployments.apps "b" is forbidden: User "bob" cannot patch resource '
        '"deployments/scale" in API group "apps" at the cluster scope'
    )
    path = authz.denied(BOB, Access(verb="get", path="/metrics"))
    assert path.message == 'forbidden: User "bob" cannot get path "/metrics"'


def test_rights_are_those_of_components_and_masters() -> None:
    wanted = Access(verb="delete", resource="nodes")
    for user in (
        User("x", (MASTERS,)),
        User("system:node:a", ("system:nodes",)),
        User("system:kube-scheduler", ()),
    ):
        assert authz.reason(user, wanted)
    assert not authz.reason(BOB, wanted)
    assert authz.reason(BOB, Access(verb="get", path="/openapi/v3/api/v1"))
    assert not authz.reason(BOB, Access(verb="get", path="/openapi-secrets"))
    own = Access(verb="create", group="authentication.k8s.io", resource="selfsubjectreviews")
    assert authz.reason(BOB, own)


def test_warnings_are_quoted() -> None:
    draft = Draft()
    draft.warn('unknown field "a"')
    assert draft.headers == [("Warning", '299 - "unknown field \\"a\\""')]
