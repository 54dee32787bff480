"""A container's environment: variables, references, service links, $(EXPANSION). Pure.

Source: kubelet, pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), third_party/forked/golang/
expansion, pkg/kubelet/envvars.
"""

import base64
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pybernetes.api.core_v1 import ConfigMap, Container, EnvVar, Pod, Secret, Service
from pybernetes.machinery import quantity

NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class ConfigError(Exception):
    """A container cannot be made as its pod describes it: CreateContainerConfigError."""


@dataclass(frozen=True, slots=True)
class References:
    """The objects that a pod refers to; None stands for one that does not exist."""

    config_maps: Mapping[str, ConfigMap | None] = field(default_factory=dict)
    secrets: Mapping[str, Secret | None] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    """Services whose addresses the pod finds in its environment."""


def environment(
    pod: Pod, container: Container, references: References, host_ip: str, pod_ip: str
) -> dict[str, str]:
    """Return all variables of a container; ConfigError for a reference that leads nowhere."""
    found: dict[str, str] = {}
    links = service_variables(references.services, pod.metadata.namespace)
    if pod.spec.enable_service_links is not False:
        found |= links
    else:
        found |= {k: v for k, v in links.items() if k.startswith("KUBERNETES_")}
    for source in container.env_from:
        if source.config_map_ref is not None:
            ref = source.config_map_ref
            data = config_map_data(references, ref.name, optional=bool(ref.optional))
        elif source.secret_ref is not None:
            secret = source.secret_ref
            data = {
                key: value.decode(errors="surrogateescape")
                for key, value in secret_data(
                    references, secret.name, optional=bool(secret.optional)
                ).items()
            }
        else:
            continue
        found |= {
            source.prefix + key: value
            for key, value in data.items()
            if NAME.match(source.prefix + key)
        }
    for variable in container.env:
        value = _value(pod, container, variable, references, (host_ip, pod_ip), found)
        if value is not None:
            found[variable.name] = value
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value; $$ escapes, an unknown name stays as it is."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return REFERENCE.sub(replacement, text)


def command(container: Container, variables: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the container's command and arguments, expanded."""
    return (
        [expand(word, variables) for word in container.command],
        [expand(word, variables) for word in container.args],
    )


def config_map_data(references: References, name: str, *, optional: bool) -> dict[str, str]:
    """Return the texts of a ConfigMap; ConfigError when it must exist and does not."""
    found = references.config_maps.get(name)
    if found is None:
        if optional:
            return {}
        raise ConfigError(f'configmap "{name}" not found')
    return dict(found.data)


def secret_data(references: References, name: str, *, optional: bool) -> dict[str, bytes]:
    """Return the values of a Secret, decoded; ConfigError when it must exist and does not."""
    found = references.secrets.get(name)
    if found is None:
        if optional:
            return {}
        raise ConfigError(f'secret "{name}" not found')
    return {key: base64.b64decode(value) for key, value in found.data.items()}


def field_value(pod: Pod, path: str, host_ip: str, pod_ip: str) -> str:
    """Return what a fieldRef refers to; ConfigError for a path that is not supported."""
    meta = pod.metadata
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
    }
    if path in simple:
        return simple[path]
    if path in ("metadata.labels", "metadata.annotations"):
        values = meta.labels if path == "metadata.labels" else meta.annotations
        return "\n".join(f'{key}="{_escape(value)}"' for key, value in sorted(values.items()))
    if match := SUBSCRIPT.match(path):
        return (meta.labels if match[1] == "labels" else meta.annotations).get(match[2], "")
    raise ConfigError(f"unsupported fieldPath: {path}")


def resource_value(container: Container, resource: str, divisor: str) -> str:
    """Return what a resourceFieldRef refers to, divided and rounded up."""
    kind, _, name = resource.partition(".")
    values = container.resources.limits if kind == "limits" else container.resources.requests
    by = quantity.parse(divisor or "1") or quantity.parse("1")
    return str(math.ceil(quantity.parse(values.get(name, "0")) / by))


def service_variables(services: Iterable[Service], namespace: str) -> dict[str, str]:
    """Return what a pod learns of the services of its namespace, and of `kubernetes`."""
    found: dict[str, str] = {}
    for service in services:
        meta, ip = service.metadata, service.spec.cluster_ip
        master = meta.namespace == "default" and meta.name == "kubernetes"
        if ip in ("", "None") or not (meta.namespace == namespace or master):
            continue
        prefix = meta.name.upper().replace("-", "_")
        ports = service.spec.ports
        if not ports:
            continue
        found[f"{prefix}_SERVICE_HOST"] = ip
        found[f"{prefix}_SERVICE_PORT"] = str(ports[0].port)
        first = ports[0].protocol.lower() or "tcp"
        found[f"{prefix}_PORT"] = f"{first}://{ip}:{ports[0].port}"
        for port in ports:
            protocol = port.protocol or "TCP"
            if port.name:
                named = port.name.upper().replace("-", "_")
                found[f"{prefix}_SERVICE_PORT_{named}"] = str(port.port)
            base = f"{prefix}_PORT_{port.port}_{protocol}"
            found[base] = f"{protocol.lower()}://{ip}:{port.port}"
            found[f"{base}_PROTO"] = protocol.lower()
            found[f"{base}_PORT"] = str(port.port)
            found[f"{base}_ADDR"] = ip
    return found


def _value(
    pod: Pod,
    container: Container,
    variable: EnvVar,
    references: References,
    ips: tuple[str, str],
    found: Mapping[str, str],
) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, found)
    if source.field_ref is not None:
        return field_value(pod, source.field_ref.field_path, *ips)
    if source.resource_field_ref is not None:
        ref = source.resource_field_ref
        return resource_value(container, ref.resource, ref.divisor)
    if source.config_map_key_ref is not None:
        of = source.config_map_key_ref
        texts = config_map_data(references, of.name, optional=bool(of.optional))
        return _key(
            texts, of.key, bool(of.optional), f"ConfigMap {pod.metadata.namespace}/{of.name}"
        )
    if source.secret_key_ref is not None:
        ref_ = source.secret_key_ref
        values = {
            key: value.decode(errors="surrogateescape")
            for key, value in secret_data(
                references, ref_.name, optional=bool(ref_.optional)
            ).items()
        }
        where = f"Secret {pod.metadata.namespace}/{ref_.name}"
        return _key(values, ref_.key, bool(ref_.optional), where)
    raise ConfigError(f"environment variable {variable.name}: unsupported source")


def _key(data: Mapping[str, str], key: str, optional: bool, where: str) -> str | None:
    if key in data:
        return data[key]
    if optional:
        return None
    raise ConfigError(f"couldn't find key {key} in {where}")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
