"""batch/v1 Job and CronJob. Source: Kubernetes pkg/registry/batch, pkg/apis/batch."""

import re
from datetime import datetime

from pybernetes.machinery import conditions, names, timestamps
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..columns import Column
from ..resource import Context, Strategy, selectable
from ..rules import Causes
from . import workloads
from .podspec import default_template, validate_template

UID_LABEL = "batch.kubernetes.io/controller-uid"
NAME_LABEL = "batch.kubernetes.io/job-name"
_OLD_UID_LABEL, _OLD_NAME_LABEL = "controller-uid", "job-name"
_POLICIES = ("OnFailure", "Never")
_BACKOFF_LIMIT = 6
_NO_LIMIT = 2**31 - 1
_CRON_NAME_LENGTH_MAX = 52  # the jobs' names add 11 characters
_CRON_FIELD = re.compile(r"(\*|[0-9A-Za-z]+(-[0-9A-Za-z]+)?|\?)(/[0-9]+)?")
_CRON_MACROS = frozenset(
    {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
)


def _status(job: Json) -> str:
    listed = trees.items(job, "status.conditions")
    for type_, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        if conditions.is_true(listed, type_):
            return shown
    if trees.text(job, "metadata.deletionTimestamp"):
        return "Terminating"
    for type_ in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if conditions.is_true(listed, type_):
            return type_
    return "Running"


def _completions(job: Json) -> str:
    succeeded = trees.count(job, "status.succeeded")
    wanted = trees.at(job, "spec.completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = trees.count(job, "spec.parallelism")
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Json, now: datetime) -> str:
    start, end = trees.text(job, "status.startTime"), trees.text(job, "status.completionTime")
    if not start:
        return ""
    finish = timestamps.parse(end) if end else now
    return cols.human_duration((finish - timestamps.parse(start)).total_seconds())


class Jobs(Strategy):
    """batch/v1 Job."""

    has_status = True
    has_generation = True
    field_paths = selectable("status.successful")
    columns = (
        cols.NAME,
        cols.made("Status", _status, "How the job is."),
        cols.made("Completions", _completions, "Pods that succeeded, of those wanted."),
        Column("Duration", _duration, description="From the start to the end, or to now."),
        cols.AGE,
        *cols.of_template("spec.template.spec"),
        cols.of_selector("spec.selector"),
    )

    def default(self, obj: Json) -> None:
        """Fill in counts, limits and policies that depend on each other."""
        default_template(obj)
        spec = trees.ensure(obj, "spec")
        if "completions" not in spec and "parallelism" not in spec:
            spec["completions"] = spec["parallelism"] = 1
        spec.setdefault("parallelism", 1)
        is_indexed = "backoffLimitPerIndex" in spec
        spec.setdefault("backoffLimit", _NO_LIMIT if is_indexed else _BACKOFF_LIMIT)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        replacement = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
        spec.setdefault("podReplacementPolicy", replacement)
        found = workloads.template_labels(obj)
        if found and not trees.labels_of(obj):
            trees.ensure(obj, "metadata")["labels"] = dict(found)

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Make a selector that no other job's pods match, unless the caller brings one."""
        super().prepare_for_create(obj, ctx)
        spec = trees.ensure(obj, "spec")
        if spec.get("manualSelector"):
            return
        uid, name = trees.text(obj, "metadata.uid"), trees.name_of(obj)
        metadata = trees.ensure(trees.ensure(spec, "template"), "metadata")
        found = trees.ensure(metadata, "labels")
        found.update({UID_LABEL: uid, NAME_LABEL: name, _OLD_UID_LABEL: uid, _OLD_NAME_LABEL: name})
        spec["selector"] = {"matchLabels": {UID_LABEL: uid}}

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from workloads.validate_counts(
            obj,
            "parallelism",
            "completions",
            "backoffLimit",
            "activeDeadlineSeconds",
            "ttlSecondsAfterFinished",
        )
        if trees.at(obj, "spec.selector") is not None:
            yield from workloads.validate_selector(obj, "job")
        yield from validate_template(obj, "Job", restart_policies=_POLICIES)
        is_indexed = trees.text(obj, "spec.completionMode") == "Indexed"
        if is_indexed and trees.at(obj, "spec.completions") is None:
            yield rules.required("spec.completions", "when completion mode is Indexed")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """What the job does stays; how fast may change."""
        mutable = ["selector", "template", "completionMode", "podFailurePolicy", "managedBy"]
        is_started = trees.text(old, "status.startTime") != ""
        if not is_started and trees.at(old, "spec.suspend"):
            mutable.remove("template")
        if trees.text(old, "spec.completionMode") != "Indexed":
            mutable.append("completions")
        for key in mutable:
            yield from rules.immutable(
                f"spec.{key}", trees.at(new, f"spec.{key}"), trees.at(old, f"spec.{key}")
            )

    def selectable_fields(self, obj: Json) -> dict[str, str]:
        """Return the fields that jobs are selected by."""
        succeeded = str(trees.count(obj, "status.succeeded"))
        return {**super().selectable_fields(obj), "status.successful": succeeded}


def _suspended(cron_job: Json) -> str:
    found = trees.at(cron_job, "spec.suspend")
    return cols.UNSET if found is None else str(bool(found))


def _cron_name(value: str) -> names.Messages:
    messages = names.dns1123_subdomain(value)
    if len(value) > _CRON_NAME_LENGTH_MAX:
        messages += (f"must be no more than {_CRON_NAME_LENGTH_MAX} characters",)
    return messages


class CronJobs(Strategy):
    """batch/v1 CronJob."""

    has_status = True
    has_generation = True
    name_rule = staticmethod(_cron_name)
    columns = (
        cols.NAME,
        cols.at("Schedule", "spec.schedule"),
        cols.at("Timezone", "spec.timeZone", cols.NONE),
        cols.made("Suspend", _suspended, "Whether runs are skipped.", type="boolean"),
        cols.made(
            "Active",
            lambda obj: len(trees.items(obj, "status.active")),
            "Jobs that run now.",
            type="integer",
        ),
        cols.aged("Last Schedule", "status.lastScheduleTime", cols.NONE),
        cols.AGE,
        *cols.of_template("spec.jobTemplate.spec.template.spec"),
        cols.of_selector("spec.jobTemplate.spec.selector"),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults."""
        default_template(obj, "spec.jobTemplate.spec.template.spec")

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        schedule = trees.text(obj, "spec.schedule")
        if not schedule:
            yield rules.required("spec.schedule")
        elif problem := schedule_problem(schedule):
            yield rules.invalid("spec.schedule", schedule, problem)
        yield from workloads.validate_counts(
            obj, "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
        )
        template = trees.members(obj, "spec.jobTemplate")
        for cause in validate_template(template, "Job", restart_policies=_POLICIES):
            yield type(cause)(f"spec.jobTemplate.{cause.field}", cause.reason, cause.message)


def schedule_problem(schedule: str) -> str:
    """Return what is wrong with a schedule in cron's format; "" if nothing is."""
    if "TZ" in schedule:
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    if schedule.startswith("@"):
        if schedule in _CRON_MACROS or schedule.startswith("@every "):
            return ""
        return f"unrecognized descriptor: {schedule}"
    parts = schedule.split()
    if len(parts) != 5:
        return f"expected exactly 5 fields, found {len(parts)}: {parts}"
    for part in parts:
        if not all(_CRON_FIELD.fullmatch(choice) for choice in part.split(",")):
            return f"failed to parse field: {part}"
    return ""
