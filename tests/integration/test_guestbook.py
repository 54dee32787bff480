"""The guestbook on a cluster of three store members and two nodes, with stock kubectl."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from pybernetes.testing.local_cluster import LocalCluster, run
from pybernetes.testing.traffic import Traffic

MANIFEST = Path(__file__).parents[2] / "examples" / "guestbook.yaml"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def guestbook(cluster: LocalCluster) -> LocalCluster:
    """The guestbook as the example has it, whatever an earlier test did to it."""
    cluster.kubectl("apply", "-f", str(MANIFEST))
    for name in ("guestbook-db", "guestbook"):
        cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s")
    return cluster


def pods(cluster: LocalCluster, app: str = "guestbook") -> list[dict]:
    items = cluster.kubectl_json("get", "pods", "-l", f"app={app}")["items"]
    return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]


def names(cluster: LocalCluster, app: str = "guestbook") -> set[str]:
    return {pod["metadata"]["name"] for pod in pods(cluster, app)}


def service_url(cluster: LocalCluster) -> str:
    service = cluster.kubectl_json("get", "service", "guestbook")
    return f"http://{service['spec']['clusterIP']}:80/whoami"


def who(url: str, times: int = 40) -> set[str]:
    return {json.loads(get(url))["pod"] for _ in range(times)}


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def process_of(pod: str) -> int:
    """Return the pid, as this machine knows it, of the program that runs in a pod."""
    wanted = f"POD_NAME={pod}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            found = wanted in environ.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if found:
            return int(environ.parent.name)
    raise AssertionError(f"no process of pod {pod}")


def versions(traffic: Traffic) -> set[str]:
    return {json.loads(body)["version"] for body in traffic.answers}


def set_version(cluster: LocalCluster, version: str, *more: str) -> None:
    cluster.kubectl("set", "env", "deployment/guestbook", f"VERSION={version}", *more)


def rolled_out(cluster: LocalCluster) -> None:
    cluster.kubectl("rollout", "status", "deployment/guestbook", "--timeout=90s")


def test_all_three_pods_answer_through_cluster_ip_and_node_port(guestbook: LocalCluster) -> None:
    expected = names(guestbook)
    assert len(expected) == 3
    assert who(service_url(guestbook)) == expected
    assert who("http://127.0.0.1:30080/whoami") == expected
    answer = json.loads(get("http://127.0.0.1:30080/whoami"))
    assert answer["title"] == "The Pybernetes guestbook"
    assert answer["secret"] == len("correct horse battery staple")


def test_pods_find_services_by_name(guestbook: LocalCluster) -> None:
    urllib.request.urlopen(
        urllib.request.Request("http://127.0.0.1:30080/entries", data=b"signed"), timeout=10
    ).close()
    assert "signed" in json.loads(get("http://127.0.0.1:30080/entries"))
    pod = sorted(names(guestbook))[0]
    code = (
        "import json, urllib.request as u; print(sorted({json.load(u.urlopen("
        "'http://guestbook.default.svc.cluster.local/whoami'))['pod'] for _ in range(40)}))"
    )
    said = guestbook.kubectl("exec", pod, "--", "python3", "-c", code)
    assert set(re.findall(r"guestbook-[a-z0-9-]+", said)) == names(guestbook)


def test_pods_spread_over_both_nodes(guestbook: LocalCluster) -> None:
    assert {pod["spec"]["nodeName"] for pod in pods(guestbook)} == {"node-1", "node-2"}


def test_a_killed_process_is_restarted_and_only_requests_in_flight_fail(
    guestbook: LocalCluster,
) -> None:
    victim = sorted(names(guestbook))[0]
    before = guestbook.kubectl_json("get", "pod", victim)["status"]["containerStatuses"][0]
    with Traffic(service_url(guestbook), threads=2) as traffic:
        traffic.wait_for(50)
        os.kill(process_of(victim), signal.SIGKILL)
        count = f"{{.status.containerStatuses[0].restartCount}}={before['restartCount'] + 1}"
        guestbook.kubectl("wait", f"pod/{victim}", f"--for=jsonpath={count}", "--timeout=60s")
        guestbook.kubectl("wait", f"pod/{victim}", "--for=condition=Ready", "--timeout=60s")
        traffic.wait_for(50)
    assert len(traffic.failures) <= 2, traffic.failures
    assert victim in names(guestbook)


def test_a_deleted_pod_is_replaced_and_no_request_fails(guestbook: LocalCluster) -> None:
    before = names(guestbook)
    victim = sorted(before)[0]
    with Traffic(service_url(guestbook)) as traffic:
        traffic.wait_for(50)
        guestbook.kubectl("delete", "pod", victim)
        rolled_out(guestbook)
        traffic.wait_for(50)
    assert traffic.failures == []
    after = names(guestbook)
    assert len(after) == 3
    assert victim not in after


def test_a_new_version_rolls_out_with_no_failed_request(guestbook: LocalCluster) -> None:
    with Traffic(service_url(guestbook)) as traffic:
        set_version(guestbook, "2")
        rolled_out(guestbook)
        traffic.wait_for(100)
    assert traffic.failures == []
    assert versions(traffic) == {"1", "2"}
    assert json.loads(get(service_url(guestbook)))["version"] == "2"


def test_a_broken_version_stalls_without_hurting_and_is_undone(guestbook: LocalCluster) -> None:
    good = names(guestbook)
    with Traffic(service_url(guestbook)) as traffic:
        set_version(guestbook, "3", "BROKEN=yes")
        with guestbook.watch("get", "pods", "-l", "app=guestbook", "-w", "--no-headers") as lines:
            lines.until(lambda line: line.split()[0] not in good and "Running" in line)
        traffic.wait_for(200)
        assert good <= names(guestbook)
        guestbook.kubectl("rollout", "undo", "deployment/guestbook")
        rolled_out(guestbook)
        traffic.wait_for(50)
    assert traffic.failures == []
    assert versions(traffic) == {"1"}
    history = guestbook.kubectl("rollout", "history", "deployment/guestbook")
    assert "REVISION" in history


def test_scaling_to_twenty_and_back(guestbook: LocalCluster) -> None:
    guestbook.kubectl("scale", "deployment/guestbook", "--replicas=20")
    rolled_out(guestbook)
    assert len(names(guestbook)) == 20
    assert who(service_url(guestbook), times=300) == names(guestbook)
    guestbook.kubectl("scale", "deployment/guestbook", "--replicas=3")
    guestbook.kubectl("wait", "deployment/guestbook", "--for=jsonpath={.status.replicas}=3")
    assert len(names(guestbook)) == 3


def test_kubectl_shows_what_it_shows_of_kubernetes(guestbook: LocalCluster) -> None:
    pod = sorted(names(guestbook))[0]
    wide = guestbook.kubectl("get", "pods", "-l", "app=guestbook", "-o", "wide")
    header = "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
    assert wide.splitlines()[0].split() == header.split()
    assert re.search(rf"{pod}\s+1/1\s+Running\s+\d+.*\snode-[12]\s", wide)
    assert "listening on" in guestbook.kubectl("logs", pod)
    assert f"  name: {pod}\n" in guestbook.kubectl("get", "pod", pod, "-o", "yaml")
    described = guestbook.kubectl("describe", "pod", pod)
    assert re.search(r"Normal\s+Started\s.*Started container", described)
    assert re.search(r"Normal\s+Scheduled\s.*Successfully assigned default/", described)
    assert "NewReplicaSet:" in guestbook.kubectl("describe", "deployment", "guestbook")
    explained = guestbook.kubectl("explain", "deployment.spec.strategy")
    assert "rollingUpdate" in explained
    assert "FIELD: strategy <DeploymentStrategy>" in explained
    code = run_failing(guestbook, "exec", pod, "--", "python3", "-c", "raise SystemExit(7)")
    assert code == 7


def run_failing(cluster: LocalCluster, *arguments: str) -> int:
    return subprocess.run(
        ["kubectl", *arguments], env=cluster.environment, capture_output=True, check=False
    ).returncode


def test_deleting_a_namespace_deletes_what_is_in_it(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "namespace", "passing")
    cluster.kubectl("apply", "-n", "passing", "-f", str(MANIFEST.with_name("sleeper.yaml")))
    cluster.kubectl("rollout", "status", "-n", "passing", "deployment/sleeper", "--timeout=60s")
    cluster.kubectl("delete", "namespace", "passing", "--timeout=90s")
    assert cluster.kubectl("get", "pods", "-n", "passing", "-o", "name") == ""
    assert "passing" not in cluster.kubectl("get", "namespaces", "-o", "name")


def store_leader(cluster: LocalCluster) -> str:
    """Ask every member for its status with etcdctl; return the leader's process."""
    spec = json.loads((cluster.data_dir / "cluster.json").read_text())
    pki = cluster.data_dir / "pki" / "etcd"
    endpoints = {f"127.0.0.1:{spec['ports'][f'store-{i}']}": f"store-{i}" for i in (1, 2, 3)}
    said = run(
        *("etcdctl", f"--endpoints={','.join(endpoints)}", "endpoint", "status", "-w", "json"),
        *(f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt"),
        f"--key={pki}/healthcheck-client.key",
        env={**os.environ, "ETCDCTL_API": "3"},
    )
    for member in json.loads(said):
        status = member["Status"]
        if status["header"]["member_id"] == status["leader"]:
            return endpoints[member["Endpoint"]]
    raise AssertionError(f"no leader among {said}")


@pytest.mark.parametrize("victim", ["store", "apiserver", "scheduler", "controller", "proxy"])
def test_writes_and_rollouts_go_on_when_one_is_killed(guestbook: LocalCluster, victim: str) -> None:
    """Acknowledged writes are all there, a rollout goes on, running pods are not disturbed."""
    db = pods(guestbook, "guestbook-db")[0]
    process = store_leader(guestbook) if victim == "store" else victim
    written = []
    for number in range(5):
        guestbook.kubectl("create", "configmap", f"{victim}-{number}", f"--from-literal=n={number}")
        written.append(f"configmap/{victim}-{number}")
    with Traffic(service_url(guestbook)) as traffic:
        traffic.wait_for(50)
        guestbook.kubectl("set", "env", "deployment/guestbook", f"VERSION=after-{victim}")
        guestbook.kill(process, signal.SIGKILL)
        killed_s = time.monotonic()
        for number in range(5, 10):
            create_until_done(guestbook, f"{victim}-{number}", "--request-timeout=5s")
            written.append(f"configmap/{victim}-{number}")
        rolled_out(guestbook)
        traffic.wait_for(50)
    if victim != "proxy":  # nobody else is between clients and pods
        assert traffic.failures == []
    first_s = min(
        at_s
        for body, at_s in traffic.first_seen_s.items()
        if json.loads(body)["version"] == f"after-{victim}"
    )
    assert first_s - killed_s < WITHIN_S + POD_START_S
    there = guestbook.kubectl("get", "configmaps", "-o", "name").split()
    assert set(written) <= set(there)
    assert json.loads(get(service_url(guestbook)))["version"] == f"after-{victim}"
    after = pods(guestbook, "guestbook-db")[0]
    assert after["metadata"]["uid"] == db["metadata"]["uid"]
    assert after["status"]["containerStatuses"] == db["status"]["containerStatuses"]
    guestbook.kubectl("delete", *written)


WITHIN_S = 5.0
"""How long writes and rollouts may stand still after one process was killed."""
POD_START_S = 3.0
"""A pod's start, its first readiness probe that passes, and the way into the routing table."""


def create_until_done(cluster: LocalCluster, name: str, *flags: str) -> None:
    """Create a ConfigMap, as a user who tries again would; it must succeed within WITHIN_S."""
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        done = subprocess.run(
            ["kubectl", "create", "configmap", name, *flags],
            env=cluster.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 or "already exists" in done.stderr:
            return
        assert time.monotonic() < deadline_s, done.stderr


def test_a_dead_node_is_replaced_and_adopts_its_pods_when_it_returns(
    guestbook: LocalCluster,
) -> None:
    guestbook.kubectl("apply", "-f", str(MANIFEST.with_name("sleeper.yaml")))
    guestbook.kubectl("rollout", "status", "deployment/sleeper", "--timeout=60s")
    guestbook.kubectl("wait", "pod/pinned", "--for=condition=Ready", "--timeout=60s")
    pinned = guestbook.kubectl_json("get", "pod", "pinned")
    guestbook.kubectl("cordon", "node-1")  # whatever rollouts before us have left where
    guestbook.kubectl("delete", "pod", pods(guestbook)[0]["metadata"]["name"])
    guestbook.kubectl("wait", "pod", "-l=app=guestbook", "--for=condition=Ready", "--timeout=60s")
    guestbook.kubectl("uncordon", "node-1")
    on_node_2 = [pod for pod in pods(guestbook) if pod["spec"]["nodeName"] == "node-2"]
    stranded = [pod["metadata"]["name"] for pod in on_node_2]
    assert stranded
    pid = guestbook.kill("node-2", signal.SIGSTOP)
    try:
        guestbook.kubectl("wait", "node/node-2", "--for=condition=Ready=Unknown", "--timeout=60s")
        for name in stranded:
            evicted = "--for=jsonpath={.metadata.deletionTimestamp}"
            guestbook.kubectl("wait", f"pod/{name}", evicted, "--timeout=60s")
        rolled_out(guestbook)
        ready = [pod for pod in pods(guestbook) if pod["spec"]["nodeName"] == "node-1"]
        assert len(ready) == 3
    finally:
        os.kill(pid, signal.SIGKILL)
    guestbook.kubectl("wait", "node/node-2", "--for=condition=Ready", "--timeout=60s")
    again = guestbook.kubectl_json("get", "pod", pinned["metadata"]["name"])
    assert again["metadata"]["uid"] == pinned["metadata"]["uid"]
    assert (
        again["status"]["containerStatuses"][0]["containerID"]
        == pinned["status"]["containerStatuses"][0]["containerID"]
    )
    guestbook.kubectl("delete", "-f", str(MANIFEST.with_name("sleeper.yaml")))
