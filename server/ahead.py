"""Masked ahead: what the metadata of a whole series is at each level, made by the worker before anybody asks.

A level masks the same for everybody but for the names and dates of the asking world, so those are left open as holes
and filled in for the answer: byte for byte what masking it then gives. Sealed under the study's key, known by the
series' revision, the level, the policy and the program; whatever is not there goes the direct road.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence

import orjson

from server.admit import INSTANCE_NUMBER, SERIES_NUMBER, View, shown_number
from server.errors import DecodeFailed, NotFound, SealBroken, UnsupportedPixels
from server.metadata.holes import Hole, Holes
from server.metadata.pseudonyms import IdentityMapping, Names
from server.model import Action, Identifier, IdentifierKind, MaskingLevel, SeriesRecord, StudyRecord
from server.prepare import Series, by_series
from server.represent import json_attributes
from server.services import Services
from server.transaction import Transaction
from server.vault.envelope import derive

FEWEST = 2
"""A series of fewer instances is masked as quickly as it is put together."""
_MARK_BYTES = 16
_LOG = logging.getLogger("safelight.ahead")


def grant_series(services: Services) -> bool:
    """Mask one series ahead that was wished for; False if there is none. Raises `Busy`, `OSError`."""
    row = services.series_wishes.take()
    if row is None:
        return False
    try:
        keep_ahead(services, row)
    except (DecodeFailed, NotFound, SealBroken, UnsupportedPixels) as error:
        _LOG.warning("no series is masked ahead: %s", type(error).__name__)
    return True


def keep_ahead(services: Services, row: str) -> int:
    """Mask a series ahead at every level that tells of it and lacks that; returns at how many.

    Raises `SealBroken`, `Busy`, and as `described`.
    """
    with services.at_once() as house:
        record = house.catalog.series_at(row)
        if record is None or not record.revision:
            return 0
        records = house.catalog.instances_of(record.study.study_instance_uid, record.series_instance_uid)
        study_key = house.study_key(record.study.study_instance_uid)
    if len(records) < FEWEST:
        return 0
    bundle, made = services.policy.current, 0
    wanted = [
        (level, name)
        for level in bundle.levels.values()
        if Action.RETRIEVE_METADATA in level.transactions
        and services.cache.get(_key(study_key), name := _name(services, record, level, bundle.fingerprint)) is None
    ]
    for level, name in wanted:
        (series,) = by_series(services, records)
        form = _form(services, series, level)
        tried, masked = _tried(services, form, series, level)
        if tried not in (masked, None):
            _LOG.error("what was masked ahead is not what the masker gives, and is not kept")
        # What cannot be told ahead says so, lest it be wished for again and again.
        services.cache.put(_key(study_key), name, form if tried == masked else b"")
        made += tried == masked
    return made


def told_ahead(transaction: Transaction, record: SeriesRecord) -> bytes | None:
    """The metadata of a series in the DICOM JSON model, one instance after the other with commas between.

    None where it has not been masked ahead, and b"" where it cannot be: then the direct road is to be gone. Raises
    `SealBroken` for an identifier that the catalogue does not vouch for.
    """
    permit = transaction.admission.permit
    name = _name(transaction.services, record, permit.level, permit.policy)
    form = transaction.services.cache.get(_key(transaction.study_key), name) if record.revision else None
    return (_filled(form, transaction.view, record.study) or b"") if form else form


def in_view(view: View, found: Sequence[SeriesRecord]) -> list[SeriesRecord]:
    """Series of one study in the order of their instances in `in_view_order`."""
    if view.domain is None:
        return list(found)
    row_keys = {key: row for one in found for key, row in one.row_keys.items()}
    names = view.names(found[0].study, row_keys)

    def place(one: SeriesRecord) -> tuple[object, ...]:
        return *shown_number(view.level, one.attributes, SERIES_NUMBER), names.uid(one.series_instance_uid)

    return sorted(found, key=place)


def _form(services: Services, series: Series, level: MaskingLevel) -> bytes:
    """The metadata of a series at a level, each different text once, cut at its holes."""
    holes = Holes(services.randomness.bytes(_MARK_BYTES, "holes").hex()) if level.pseudonyms else None
    origin = services.settings.public_url
    numbers: dict[bytes, int] = {}
    own = [
        [numbers.setdefault(text, len(numbers)) for text in attributes]
        for attributes in json_attributes(origin, level, holes or IdentityMapping(), series)
    ]
    texts = [holes.cut(text.decode()) if holes else [text.decode()] for text in numbers]
    places = [
        [*shown_number(level, one.record.attributes, INSTANCE_NUMBER), one.record.path.instance]
        for one in series.instances
    ]
    found = [list(hole) for hole in holes.found] if holes else []
    row_keys = [[key.kind.value, key.value, row.hex()] for key, row in series.row_keys.items()]
    return orjson.dumps([found, row_keys if holes else [], texts, own, places])


def _filled(form: bytes, view: View, study: StudyRecord) -> bytes | None:
    """The holes filled in with the names of a world; None where one cannot be."""
    found, row_keys, texts, own, places = orjson.loads(form)
    if view.domain is not None:
        names = view.names(study, _row_keys(row_keys))
        filled = [Hole(*hole).filled(names) for hole in found]
        if None in filled:
            return None
        texts = ["".join([one if isinstance(one, str) else filled[one] for one in pieces]) for pieces in texts]
        # As `in_view_order`: numbers count where the level shows them, then pseudonyms.
        placed = zip(places, own, strict=True)
        ordered = sorted((absent, number, names.uid(uid), its) for (absent, number, uid), its in placed)
        own = [its for *_, its in ordered]
    else:
        texts = ["".join(pieces) for pieces in texts]
    text_of = texts.__getitem__
    return ",".join(["{" + ",".join(map(text_of, its)) + "}" for its in own]).encode()


def _tried(services: Services, form: bytes, series: Series, level: MaskingLevel) -> tuple[bytes | None, bytes]:
    """What a world that is drawn for this gets of what was masked ahead, and what the masker gives it."""
    drawn = services.randomness.bytes(32, "world of nobody") if level.pseudonyms else None
    view = View(level=level, domain=drawn)
    names = view.names(series.study, series.row_keys)
    ordered = sorted(
        zip(series.instances, json_attributes(services.settings.public_url, level, names, series), strict=True),
        key=lambda one: _place(level, one[0].record.attributes, names, one[0].record.path.instance) if drawn else (),
    )
    masked = b",".join(b"{%b}" % b",".join(its) for _, its in ordered)
    return _filled(form, view, series.study), masked


def _place(
    level: MaskingLevel, attributes: Mapping[str, Mapping[str, object]], names: Names, uid: str
) -> tuple[object, ...]:
    return *shown_number(level, attributes, INSTANCE_NUMBER), names.uid(uid)


def _row_keys(written: Sequence[Sequence[str]]) -> dict[Identifier, bytes]:
    return {Identifier(kind=IdentifierKind(kind), value=value): bytes.fromhex(row) for kind, value, row in written}


def _key(study_key: bytes) -> bytes:
    return derive(study_key, "series masked ahead")


def _name(services: Services, record: SeriesRecord, level: MaskingLevel, policy: str) -> str:
    """Everything but the world that the metadata of a series at a level depends on."""
    told = (
        "ahead", services.code, services.settings.public_url, level.name, level.fingerprint, policy,
        record.row, record.revision.hex(),
    )  # fmt: skip
    return hmac.new(services.cache_key, "\x00".join(told).encode(), hashlib.sha256).hexdigest()
