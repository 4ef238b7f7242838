"""Tell viewers what was hidden where: kinds and rectangles, as drawn, at levels that allow it."""

from __future__ import annotations

import orjson

from server.develop import Original, unseal
from server.errors import NotFound
from server.model import Action, Ask, MaskingLevel, Representation, ScreeningState
from server.negotiate import Choice
from server.pixels.areas import Area, plan
from server.services import Services
from server.transaction import Transaction


def masked_regions(services: Services, ask: Ask, choice: Choice, **path: str) -> Representation:
    """The masks of one instance. Raises `NotFound` where the level does not tell them, or there are no frames."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_METADATA, choice, path)
    level = transaction.view.level
    record = transaction.instances[0]
    if not level.tell_regions or not record.number_of_frames:
        raise NotFound
    return transaction.answer(lambda: _told(unseal(services, record), level), extra="masked-regions")


def _told(original: Original, level: MaskingLevel) -> bytes:
    """Rows and columns count from 0 in the stored frame; `frames` lists numbers from 1, null for every frame."""
    description = original.description
    if description is None:
        raise NotFound
    screened = original.record.screening is ScreeningState.SCREENED
    frames: dict[Area, list[int]] = {}
    coarse: list[int] = []
    for number in range(1, description.number_of_frames + 1):
        planned = plan(original.regions, level, description, screened=screened, frame_number=number)
        for area in dict.fromkeys(planned.areas):
            frames.setdefault(area, []).append(number)
        coarse += [number] if planned.coarse else []
    return orjson.dumps(
        {
            "rows": description.rows,
            "columns": description.columns,
            "coarse": _frames(coarse, description.number_of_frames) if coarse else [],
            "regions": [
                {
                    "kind": area.kind.value if area.kind is not None else "frame",
                    "style": area.style.value,
                    "frames": _frames(numbers, description.number_of_frames),
                    "row": area.box[0],
                    "column": area.box[1],
                    "rows": area.box[2] - area.box[0],
                    "columns": area.box[3] - area.box[1],
                }
                for area, numbers in frames.items()
            ],
        }
    )


def _frames(numbers: list[int], count: int) -> list[int] | None:
    return None if len(numbers) == count else numbers
