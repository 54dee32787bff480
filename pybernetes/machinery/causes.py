"""Cause: one field of an object that breaks a rule."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong with one field; becomes an entry of a Status' `details.causes`."""

    field: str
    """Path in JSON names: `spec.template.spec.containers[0].image`."""
    reason: str
    """FieldValueRequired, FieldValueInvalid, FieldValueDuplicate, FieldValueNotSupported …"""
    message: str
    """What is wrong, without the path: `Invalid value: -1: must be …`."""
