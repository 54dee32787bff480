# Generated from protos/kube by tools/genkube.py. Do not edit.
"""Typed, read-only views of Kubernetes objects: one module per group and version.

    pod = msgspec.json.decode(raw, type=core_v1.Pod)

Absent fields read as their zero value, or None where Kubernetes tells absent from zero.
Unknown fields are ignored. Objects that are written are JSON trees.
"""

