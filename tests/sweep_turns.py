"""A part of a large product of requests: each film in some media types, each media type of some films.

With `SAFELIGHT_SWEEP_WHOLE` set (`make long-test`) it is the whole product.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from sweep_routes import Call

WHOLE = bool(os.environ.get("SAFELIGHT_SWEEP_WHOLE"))
PART = 3
# An object is named in the path, or in the query as WADO-URI has it.
_RESOURCE = re.compile(r"[^?]*(?:\?requestType=WADO(?:&\w+UID=[^&]*)*)?")


def in_turn(found: Iterable[Call], turn: int) -> Iterator[Call]:
    """The first call for every resource and one in three of its others, another third for the next resource.

    Turns 0, 1 and 2 are together all calls.
    """
    asked: Counter[str] = Counter()
    for call in found:
        matched = _RESOURCE.match(call.path)
        assert matched
        resource = matched.group()
        place = asked[resource]
        asked[resource] += 1
        if WHOLE or place == 0 or (place + len(asked) + turn) % PART == 0:
            yield call
