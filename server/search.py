"""Search (QIDO-RS, PS3.18 section 10.6): matching, order, paging and counts are those of the caller's masked view.

The policy and the mask come before the filter, the filter before paging. Studies are answered from rows prepared in
`worlds` where there are any; the slow way says the same, and opens and masks what it looks at. There the sealed index
only narrows the candidates down, and only for levels that show the very values it was built from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import orjson

from server import record
from server.admit import View, acting, in_view_order, original_uid, views
from server.catalog.keywords import StudyQuery
from server.errors import Busy
from server.metadata.deidentify import Shared
from server.metadata.match import matches_all
from server.metadata.xml_model import from_json
from server.model import Action, Ask, Caller, Permit, Representation, check_uid
from server.multipart import Part, write
from server.narrow import narrowed
from server.part_pages import in_order, part_page
from server.policy.decide import decide_many
from server.policy.words import PolicyBundle
from server.query import Query, SearchLevel
from server.rows import Match, Ready, masked_for, order_of, row_of
from server.services import Services
from server.sharing import decided
from server.worlds import Prepared, prepared

SearchHandler = Callable[..., Representation]
COUNTED = 1000
_CHUNK = 256
_TOGETHER = 16
_SLOWLY = 50_000
"""So many studies can be opened, masked and sorted for one search; of more, only those that are prepared."""
_PATIENT_NAME, _PATIENT_ID, _ACCESSION, _STUDY_DATE = 0x00100010, 0x00100020, 0x00080050, 0x00080020


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """One line of the page's list, in the words of the view; `study`, `series`, `instance` name its first film."""

    study: str
    series: str
    instance: str
    patient_name: str
    patient_id: str
    study_date: str
    modalities: str
    description: str
    accession: str
    level: str


def search(
    services: Services,
    ask: Ask,
    query: Query,
    *,
    study: str | None = None,
    series: str | None = None,
    xml: bool = False,
) -> Representation:
    """One of the six searches. Raises `Forbidden` for a role that never searches; what it may not see is not there.

    With `xml` each row is a part of its own, written from what is its row in JSON (PS3.18 section 8.7.3.2).
    """
    found, more = _page(services, ask, query, study, series)
    rows = [one.body if isinstance(one, Ready) else orjson.dumps(row_of(services, one, query.level)) for one in found]
    headers = {}
    if more:
        told = f"{more}" if more < COUNTED else f"{COUNTED} or more"
        headers["Warning"] = f'299 safelight "There are {told} additional results that can be requested"'
    media_type, body = _as_xml(services, rows) if xml else ("application/dicom+json", b"[" + b",".join(rows) + b"]")
    answer = Representation(
        media_type=media_type, body=body if rows else b"", status=200 if rows else 204, headers=headers
    )
    permit = found[0].permit if found else None
    asked = orjson.dumps([[*(f"{tag:08X}" for tag in key.path), key.how, key.value] for key in query.keys]).decode()
    subject = record.Subject(action=Action.SEARCH, object=f"{study or ''}/{series or ''}?{asked}", permit=permit)
    return record.answer(services, ask, subject, answer)


def _as_xml(services: Services, rows: Iterable[bytes]) -> tuple[str, bytes]:
    boundary = services.randomness.bytes(16, "multipart-boundary").hex()
    parts = (Part(media_type="application/dicom+xml", body=from_json(orjson.loads(row))) for row in rows)
    return f'multipart/related; type="application/dicom+xml"; boundary={boundary}', b"".join(write(parts, boundary))


def table(services: Services, ask: Ask, *, limit: int) -> list[StudyRow]:
    """The page's list of studies: the same search, in the words of the view, recorded as one."""
    query = Query(level=SearchLevel.STUDY, keys=(), limit=limit, offset=0)
    found, _ = _page(services, ask, query, None, None)
    rows = []
    ready = services.catalog.studies_at([one.row for one in found if isinstance(one, Ready)])
    for match in found:
        if isinstance(match, Ready):
            study, values = ready[match.row].record, orjson.loads(match.body)
        else:
            study, values = match.study, row_of(services, match, SearchLevel.STUDY)
        first = next(iter(in_view_order(match.view, services.catalog.instances_of(study.study_instance_uid))), None)
        if first is None:
            continue
        names = match.view.names(study, {**first.series.row_keys, **first.row_keys})
        rows.append(
            StudyRow(
                study=names.uid(first.path.study),
                series=names.uid(first.path.series),
                instance=names.uid(first.path.instance),
                patient_name=_text(values, _PATIENT_NAME),
                patient_id=_text(values, _PATIENT_ID),
                study_date=_text(values, _STUDY_DATE),
                modalities=_text(values, 0x00080061),
                description=_text(values, 0x00081030),
                accession=_text(values, _ACCESSION),
                level=match.permit.level.name,
            )
        )
    subject = record.Subject(action=Action.SEARCH, object="/", permit=found[0].permit if found else None)
    record.answer(services, ask, subject, Representation(media_type="text/html", body=repr(rows).encode()))
    return rows


def _text(row: Mapping[str, Mapping[str, object]], tag: int) -> str:
    values = row.get(f"{tag:08X}", {}).get("Value")
    if not isinstance(values, list):
        return ""
    return ", ".join(str(one.get("Alphabetic", "")) if isinstance(one, dict) else str(one) for one in values)


def _page(
    services: Services, ask: Ask, query: Query, study: str | None, series: str | None
) -> tuple[list[Match | Ready], int]:
    """The rows of one page and how many more there are, counted up to `COUNTED`."""
    for uid in (study, series):
        if uid is not None:
            check_uid(uid)
    bundle = services.policy.current
    caller = acting(services, bundle, ask)
    page: list[Match | Ready] = []
    count = 0
    for view in views(services, bundle, caller, Action.SEARCH):
        # What of the page falls into this world, whose matches come after those of the worlds before.
        wanted = slice(max(0, query.offset - count), max(0, query.offset + query.limit - count))
        most = query.offset + query.limit + COUNTED
        bypassed = series or view.shares
        known = None if bypassed else _ready(services, bundle, caller, view, query, wanted, study)
        if known is not None:
            page += known.page
            count += known.count
            continue
        if view.shares:
            permitted = _given(services, bundle, caller, view, study)
        else:
            asked = narrowed(services, view, query, study)
            if view.domain is not None and asked == StudyQuery() and services.catalog.count_studies() > _SLOWLY:
                raise Busy("there are too many studies to look at each, and they are not prepared yet")
            permitted = _permitted(services, bundle, caller, view, asked)
        matching = _matching(services, permitted, query, series)
        if view.domain is not None:
            # By pseudonym: the order of the rows tells nothing of real values, nor joins two projects (a.M12, a.Q6).
            found = sorted(matching, key=order_of)[:most]
        else:
            found = list(islice(matching, max(0, most - count)))
        page += found[wanted]
        count += len(found)
    return page, min(COUNTED, max(0, count - query.offset - len(page)))


def _ready(
    services: Services,
    bundle: PolicyBundle,
    caller: Caller,
    view: View,
    query: Query,
    wanted: slice,
    study: str | None,
) -> Prepared | None:
    """The answer of a world that was worked out ahead; None where only the slow way has one."""
    if query.level is SearchLevel.STUDY:
        return prepared(services, bundle, caller, view, query, wanted)

    def unfold(studies: Sequence[Match]) -> Iterator[Match]:
        return _matching(services, studies, query, None)

    if not any(key.value for key in query.keys):
        return part_page(services, bundle, caller, view, query, unfold, wanted, study)
    if study is not None or view.domain is None or narrowed(services, view, query, None) != StudyQuery():
        # The sealed index knows of fewer studies to look at.
        return None
    found = in_order(services, bundle, caller, view, query, unfold, wanted.stop + COUNTED)
    return None if found is None else Prepared(page=found[wanted], count=len(found))


def _matching(services: Services, permitted: Iterable[Match], query: Query, series: str | None) -> Iterator[Match]:
    """The rows of the asked level that match all keys on the values of the view."""
    keys = [key for key in query.keys if key.value]
    for match in _expanded(services, permitted, query, series):
        elements = masked_for(services, match, query) if keys else {}
        if matches_all(elements, keys):
            yield match


def _permitted(
    services: Services, bundle: PolicyBundle, caller: Caller, view: View, asked: StudyQuery | None
) -> Iterator[Match]:
    """The studies of one world that the policy lets the caller see there, in the catalogue's order."""
    if asked is None:
        return
    shared = Shared()
    candidates = services.catalog.find_studies(asked)
    while studies := list(islice(candidates, _CHUNK)):
        # Of a study whose every instance is rejected there is nothing to be seen.
        shown = services.catalog.shown([bytes.fromhex(one.row) for one in studies])
        chunk = [one for one in studies if bytes.fromhex(one.row) in shown]
        decisions = decide_many(bundle, caller, Action.SEARCH, chunk, services.clock())
        for one, decision in zip(chunk, decisions, strict=True):
            if isinstance(decision, Permit) and decision.level.name == view.level.name:
                yield Match(permit=decision, view=view, study=one, shared=shared)


def _given(services: Services, bundle: PolicyBundle, caller: Caller, view: View, study: str | None) -> Iterator[Match]:
    """What was shared in one world, each study once; of a study that is asked for, no other."""
    wanted = original_uid(services, view, study) if study else None
    for uid in dict.fromkeys(one.study for one in view.shares if not study or one.study == wanted):
        found = services.catalog.find_study(uid)
        if found is None or not services.catalog.shown([bytes.fromhex(found.row)]):
            continue
        decision = decided(services, bundle, caller, view.shares, Action.SEARCH, found)
        if isinstance(decision, Permit) and decision.level.name == view.level.name:
            yield Match(permit=decision, view=view, study=found, shared=Shared())


def _expanded(services: Services, found: Iterable[Match], query: Query, series: str | None) -> Iterator[Match]:
    """Each permitted study as the rows of the asked level."""
    if query.level is SearchLevel.STUDY:
        yield from found
        return
    coming = iter(found)
    while matches := list(islice(coming, _TOGETHER)):
        studies = [match.study for match in matches]
        series_uid = original_uid(services, matches[0].view, series) if series else None
        if series and series_uid is None:
            continue
        if query.level is SearchLevel.SERIES:
            inside = services.catalog.series_in(studies)
            for match in matches:
                for one, count in inside[match.study.row]:
                    yield replace(match, series=one, inside=count)
            continue
        instances = services.catalog.instances_in(studies, series_uid)
        for match in matches:
            for instance in instances[match.study.row]:
                yield replace(match, series=instance.series, instance=instance)
