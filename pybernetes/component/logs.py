"""Structured logs: one line per decision, an event and its fields."""

import logging
import sys
from typing import Any, cast

import structlog


def configure(program: str, *, debug: bool = False) -> None:
    """Send every log line of this process to standard error, as logfmt."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "program", "component", "event"], drop_missing=True
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if debug else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one part of a program; `name` becomes the field `component`."""
    logger: Any = structlog.get_logger(component=name)
    return cast("structlog.typing.FilteringBoundLogger", logger)
