"""Logs are one JSON object a line, and whoever wrote a line, it names nobody."""

from __future__ import annotations

import json
import logging
import logging.config
import sys

import pytest

from server.logs import JSONLines, configuration

SECRET = "CANARY-PatientName"


def written(logger: str, message: str, *values: object, error: Exception | None = None) -> dict[str, str]:
    info = (type(error), error, None) if error is not None else None
    record = logging.LogRecord(logger, logging.ERROR, __file__, 1, message, values, info)
    line: dict[str, str] = json.loads(JSONLines().format(record))
    return line


def test_our_own_lines_are_told_in_full() -> None:
    line = written("safelight.web", "request %s failed: %s", "4711", "SealBroken")
    assert line["message"] == "request 4711 failed: SealBroken"
    assert set(line) == {"time", "level", "logger", "message"}
    assert line["level"] == "ERROR"


@pytest.mark.parametrize("logger", ["gunicorn.error", "werkzeug", "pydicom", "safelighted", "root"])
def test_of_others_only_the_template_is_told(logger: str) -> None:
    line = written(
        logger, "Error handling request %s", f"/dicomweb/studies?PatientName={SECRET}", error=OSError(SECRET)
    )
    assert line["message"] == "Error handling request %s"
    assert line["exception"] == "OSError"
    assert SECRET not in json.dumps(line)


def test_a_configured_process_writes_so(capsys: pytest.CaptureFixture[str]) -> None:
    kept = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logging.config.dictConfig(configuration())
        logging.getLogger().handlers[0].stream = sys.stderr  # type: ignore[attr-defined]
        logging.getLogger("elsewhere").warning("a film of %s", SECRET)
    finally:
        logging.getLogger().handlers[:], level = kept
        logging.getLogger().setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["logger"], line["message"]) == ("elsewhere", "a film of %s")
