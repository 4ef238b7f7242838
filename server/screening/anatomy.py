"""Whether a header says that a picture may show a head. It can only add a doubt: what it leaves out proves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.dataset import Dataset

_ATTRIBUTES = (
    "BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
)  # fmt: skip
_CODED = ("AnatomicRegionSequence", "ProcedureCodeSequence", "RequestedProcedureCodeSequence")
# Whole words of Body Part Examined (PS3.16 Annex L) and of descriptions; what reaches from the neck up shows the jaw.
_WORDS = re.compile(
    r"(?<![^\W_])("
    r"heads?|headneck|skull|brain|face|facial|faces|orbits?|eyes?|ears?|nose|nasal|sinus(es)?|jaws?|mandible|maxilla"
    r"|teeth|tooth|dental|tmj|iac|iam|pituitary|sella|cereb\w*|crani\w*|intracrani\w*|neuro\w*|encephal\w*|stroke|mastoids?"
    r"|neck|cspine|c-spine|cervical|wholebody"
    r"|kopf|sch[äa]e?del\w*|hirn\w*|gesicht\w*|hals|hws|t[êe]te|cr[âa]ne|cerveau|cabeza|cr[áa]neo|cerebro|testa|cranio"
    r")(?![^\W_])"
    r"|颅|脑|头|頭|面部|颌|鼻|眼眶|颈",
    re.IGNORECASE,
)


def says_head(dataset: Dataset) -> bool:
    """Whether what an object says of the part of the body names the head, a part of it, or what it is scanned with."""
    return any(_WORDS.search(value) for value in _said(dataset))


def _said(dataset: Dataset) -> Iterator[str]:
    for keyword in _ATTRIBUTES:
        yield str(dataset.get(keyword) or "")
    for keyword in _CODED:
        for item in dataset.get(keyword) or ():
            yield str(item.get("CodeMeaning") or "")
