"""Selectors of a request: which objects of a resource it is about."""

from pybernetes.machinery import fields, labels
from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.fields import FieldSelector
from pybernetes.machinery.resource import Resource

from .core import convert, strategies
from .core.watch_cache import Selection

_NAME = "metadata.name"
_NAMESPACE = "metadata.namespace"


def selection(
    resource: Resource, namespace: str, label_selector: str, field_selector: str, name: str = ""
) -> Selection:
    """Return what a request selects. Raises BadRequest for selectors that make no sense."""
    by_labels = labels.parse(label_selector) if label_selector.strip() else None
    by_fields: FieldSelector | None = None
    if field_selector:
        parsed = fields.parse(field_selector)
        _check(parsed, resource, label_selector, field_selector)
        name = name or parsed.required(_NAME) or ""
        terms = tuple(term for term in parsed.terms if term.field != _NAME or term.is_negated)
        by_fields = FieldSelector(terms) if terms else None
    return Selection(namespace, name, by_labels, by_fields)


def _check(parsed: FieldSelector, resource: Resource, by_labels: str, by_fields: str) -> None:
    stored = convert.storage_of(resource)
    strategy = strategies.for_resource(stored.group, stored.plural)
    known = {_NAME, *strategy.selectable_fields({})}
    if resource.namespaced:
        known.add(_NAMESPACE)
    for term in parsed.terms:
        if term.field not in known:
            raise BadRequest(
                f'Unable to find "{resource.group}/{resource.version}, '
                f'Resource={resource.plural}" that match label selector "{by_labels}", '
                f'field selector "{by_fields}": field label not supported: {term.field}'
            )
