"""Structured logs without identity: one JSON object a line, for standard error.

Our own messages are written so that they carry none. Of everybody else's only the template is taken, without what was
put into it, and of an exception only its type: a library's line may quote a path, a value or a file.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

OWN = "safelight"


class JSONLines(logging.Formatter):
    """Writes a record as {"time", "level", "logger", "message"} and, where there is one, {"exception": its type}."""

    def format(self, record: logging.LogRecord) -> str:
        own = record.name == OWN or record.name.startswith(f"{OWN}.")
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage() if own else str(record.msg),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line)


def configuration() -> dict[str, object]:
    """The logging of a process, as `logging.config.dictConfig` takes it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JSONLines}},
        "handlers": {"error": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["error"]},
        "loggers": {
            "gunicorn.error": {"level": "WARNING", "handlers": ["error"], "propagate": False},
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }
