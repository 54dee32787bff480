"""Run the guestbook on a cluster that is up, sign it, lose a pod, and see it come back.

Needs nothing but this environment: it speaks to the API as kubectl would.
"""

import asyncio
import json
import os
import ssl
import sys
import tempfile
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import yaml

MANIFEST = Path(__file__).with_name("guestbook.yaml")
URL = "http://127.0.0.1:30080"
NAMESPACE = "default"
TIMEOUT_S = 120


class Api:
    """The Kubernetes API of a kubeconfig's cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = cluster["server"]
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(b64decode(user["client-certificate-data"]))
            pem.write(b64decode(user["client-key-data"]))
            pem.flush()
            self.tls.load_cert_chain(pem.name)

    async def __aenter__(self) -> "Api":
        connector = aiohttp.TCPConnector(ssl=self.tls)
        self.http = aiohttp.ClientSession(self.server, connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def apply(self, tree: dict[str, Any]) -> str:
        """Create an object, or merge it into the one that is there."""
        group = "/api/v1" if tree["apiVersion"] == "v1" else f"/apis/{tree['apiVersion']}"
        path = f"{group}/namespaces/{NAMESPACE}/{tree['kind'].lower()}s"
        async with self.http.post(path, json=tree) as answer:
            if answer.status != 409:
                await check(answer)
                return "created"
        kind = {"Content-Type": "application/merge-patch+json"}
        body = json.dumps(tree)
        name = tree["metadata"]["name"]
        async with self.http.patch(f"{path}/{name}", data=body, headers=kind) as answer:
            await check(answer)
            return "configured"

    async def rolled_out(self, name: str) -> None:
        """Return once every replica of a Deployment is updated and available."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        query = {"watch": "true", "fieldSelector": f"metadata.name={name}"}
        forever = aiohttp.ClientTimeout(total=None)
        async with self.http.get(path, params=query, timeout=forever) as answer:
            async for line in answer.content:
                event = json.loads(line)["object"]
                spec, status = event["spec"], event.get("status", {})
                seen = status.get("observedGeneration") == event["metadata"]["generation"]
                counts = {status.get(key) for key in ("updatedReplicas", "availableReplicas")}
                if seen and counts == {spec["replicas"]}:
                    return

    async def delete_pod(self, name: str) -> None:
        """Delete a pod, as `kubectl delete pod` does."""
        async with self.http.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}") as answer:
            await check(answer)


async def check(answer: aiohttp.ClientResponse) -> None:
    """Raise with the server's own message."""
    if answer.status >= 400:
        raise SystemExit(f"{answer.method} {answer.url.path}: {await answer.text()}")


async def ask(times: int) -> Counter[str]:
    """Ask the Service who answers, each time on a new connection."""
    pods: Counter[str] = Counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        for _ in range(times):
            async with http.get(f"{URL}/whoami") as answer:
                answer.raise_for_status()
                pods[json.loads(await answer.text())["pod"]] += 1
    return pods


async def main(kubeconfig: Path) -> None:
    """Tell the story."""
    async with Api(kubeconfig) as api, asyncio.timeout(TIMEOUT_S):
        for tree in yaml.safe_load_all(MANIFEST.read_text()):
            print(f"{tree['kind'].lower()}/{tree['metadata']['name']} {await api.apply(tree)}")
        for name in ("guestbook-db", "guestbook"):
            await api.rolled_out(name)
            print(f"deployment {name} successfully rolled out")
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{URL}/entries", data="Hello from the demo") as answer:
                answer.raise_for_status()
            async with http.get(f"{URL}/") as answer:
                print(f"{URL}/ says: {await answer.text()}")
        pods = await ask(60)
        print("60 requests were answered by:", dict(pods))
        victim = next(iter(pods))
        print(f"deleting pod {victim} while requests run ...")
        await api.delete_pod(victim)
        print("60 more, none failed:", dict(await ask(60)))
        await api.rolled_out("guestbook")
        print("three replicas are available again:", dict(await ask(60)))
        print(f"\nThe guestbook stays at {URL}/ ; `make down` stops the cluster.")


if __name__ == "__main__":
    default = Path.home() / ".pybernetes" / "kubeconfig"
    asyncio.run(
        main(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("KUBECONFIG", default)))
    )
