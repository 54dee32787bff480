"""The kubeconfig with which kubectl and every client library finds the cluster."""

import base64
from pathlib import Path

import yaml

from .plan import LOOPBACK
from .spec import ClusterSpec

NAME = "pybernetes"


def render(spec: ClusterSpec) -> str:
    """Return the administrator's kubeconfig, certificates inside."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": NAME,
                "cluster": {
                    "server": f"https://{LOOPBACK}:{spec.api_port}",
                    "certificate-authority-data": _base64(spec.pki / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": "kubernetes-admin",
                "user": {
                    "client-certificate-data": _base64(spec.pki / "admin.crt"),
                    "client-key-data": _base64(spec.pki / "admin.key"),
                },
            }
        ],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": "kubernetes-admin"}}],
        "current-context": NAME,
    }
    return yaml.safe_dump(config, sort_keys=False)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
