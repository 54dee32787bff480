"""rbac.authorization.k8s.io/v1. Source: Kubernetes pkg/apis/rbac, pkg/registry/rbac."""

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Strategy
from ..rules import Causes

GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


class Roles(Strategy):
    """Role: what may be done, in one namespace."""

    creates_on_update = True
    name_rule = staticmethod(names.path_segment)
    columns = (cols.NAME, cols.CREATED_AT)
    may_name_urls = False

    def validate(self, obj: Json) -> Causes:
        """Each rule needs verbs, and resources or URLs to use them on."""
        for path, rule in trees.indexed(obj, "rules"):
            if not rule.get("verbs"):
                yield rules.required(f"{path}.verbs", "verbs must contain at least one value")
            urls = rule.get("nonResourceURLs")
            if urls:
                if not self.may_name_urls:
                    yield rules.invalid(
                        f"{path}.nonResourceURLs",
                        urls,
                        "namespaced rules cannot apply to non-resource URLs",
                    )
                if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                    yield rules.invalid(
                        f"{path}.nonResourceURLs",
                        urls,
                        "rules cannot apply to both regular resources and non-resource URLs",
                    )
                continue
            if not rule.get("apiGroups"):
                yield rules.required(
                    f"{path}.apiGroups", "resource rules must supply at least one api group"
                )
            if not rule.get("resources"):
                yield rules.required(
                    f"{path}.resources", "resource rules must supply at least one resource"
                )


class ClusterRoles(Roles):
    """ClusterRole: what may be done, anywhere."""

    may_name_urls = True


def _subjects(kind: str) -> cols.Column:
    def listed(binding: Json) -> str:
        found = [
            subject for subject in trees.items(binding, "subjects") if subject.get("kind") == kind
        ]
        if kind == "ServiceAccount":
            return ", ".join(f"{one.get('namespace', '')}/{one.get('name', '')}" for one in found)
        return ", ".join(one.get("name", "") for one in found)

    return cols.made(f"{kind}s", listed, f"{kind}s that get the role.", wide=True)


class Bindings(Strategy):
    """RoleBinding and ClusterRoleBinding: who has which role."""

    creates_on_update = True
    name_rule = staticmethod(names.path_segment)
    columns = (
        cols.NAME,
        cols.made(
            "Role",
            lambda obj: f"{trees.text(obj, 'roleRef.kind')}/{trees.text(obj, 'roleRef.name')}",
            "The role that is given.",
        ),
        cols.AGE,
        _subjects("User"),
        _subjects("Group"),
        _subjects("ServiceAccount"),
    )

    def default(self, obj: Json) -> None:
        """Users, groups and roles are of this API group."""
        reference = obj.get("roleRef")
        if isinstance(reference, dict) and not reference.get("apiGroup"):
            reference["apiGroup"] = GROUP
        for subject in trees.items(obj, "subjects"):
            if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
                subject["apiGroup"] = GROUP

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the role's and the subjects' names."""
        reference = trees.members(obj, "roleRef")
        kinds = ("Role", "ClusterRole") if trees.namespace_of(obj) else ("ClusterRole",)
        if reference.get("apiGroup") != GROUP:
            yield rules.not_supported("roleRef.apiGroup", reference.get("apiGroup"), (GROUP,))
        if reference.get("kind") not in kinds:
            yield rules.not_supported("roleRef.kind", reference.get("kind") or "", kinds)
        if not reference.get("name"):
            yield rules.required("roleRef.name")
        for path, subject in trees.indexed(obj, "subjects"):
            kind = subject.get("kind") or ""
            if not subject.get("name"):
                yield rules.required(f"{path}.name")
            if kind not in _SUBJECTS:
                yield rules.not_supported(f"{path}.kind", kind, _SUBJECTS)
            is_unplaced = kind == "ServiceAccount" and not subject.get("namespace")
            if is_unplaced and not trees.namespace_of(obj):
                yield rules.required(f"{path}.namespace")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The role stays: another one needs another binding."""
        if new.get("roleRef") != old.get("roleRef"):
            yield rules.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")
