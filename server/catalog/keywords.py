"""Which search lists a study is on, which lists answer a query, and the exact matching after opening. Pure.

Matching follows PS3.4 C.2.2.2: `*` and `?` in text, person names without regard to case and by whole name or by any
one component group, accession numbers and patient IDs exactly. It errs on the side of more: the caller matches what
comes back once more, on the values of the level.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from server.catalog.tokens import Keyword, KeywordKind
from server.model import PatientIdentity, StudyRecord
from server.model.patterns import glob

PREFIX_LENGTH = 8
# One list of all, two of the patient, one accession number, whole name and three groups, their prefixes, three of the
# date: every study writes exactly this many entries, so that the number says nothing of the name.
ENTRIES_PER_STUDY = 1 + 2 + 1 + 4 + 3 * PREFIX_LENGTH + 3
_LONGEST_DAYS = 62
_LONGEST_MONTHS = 36
_LONGEST_YEARS = 200

_PATIENT_NAME = "00100010"
_ACCESSION_NUMBER = "00080050"
_STUDY_DATE = "00080020"


@dataclass(frozen=True, kw_only=True)
class StudyQuery:
    """What a study must match; None matches every study. Text may hold `*` and `?`.

    `date_from` and `date_to` are days as YYYYMMDD, inclusive. `issuer` counts only beside `patient_id`. Raises
    ValueError for days that are none.
    """

    study_uids: frozenset[str] | None = None
    patient_id: str | None = None
    issuer: str | None = None
    patient_name: str | None = None
    accession_number: str | None = None
    date_from: str | None = None
    date_to: str | None = None

    def __post_init__(self) -> None:
        for day in (self.date_from, self.date_to):
            if day is not None and _day(day) is None:
                raise ValueError("a day is YYYYMMDD")


def fold(text: str) -> str:
    """A name without case, compatibility forms and insignificant trailing delimiters (PS3.5 section 6.2)."""
    return "=".join(_strip(group) for group in _casefold(text).split("=")).rstrip("=")


def study_keywords(patient: PatientIdentity, attributes: Mapping[str, Mapping[str, Any]]) -> tuple[Keyword, ...]:
    """The lists a study is on, `all` first, each once, at most `ENTRIES_PER_STUDY`."""
    found = {Keyword(kind=KeywordKind.ALL): None}
    if patient.patient_id.strip():
        found[Keyword(kind=KeywordKind.PATIENT_ID, value=patient.patient_id.strip())] = None
        found[patient_keyword(patient.patient_id, patient.issuer)] = None
    if accession := _text(attributes, _ACCESSION_NUMBER).strip():
        found[Keyword(kind=KeywordKind.ACCESSION, value=accession)] = None
    name, *groups = _names(attributes)
    for text in (name, *groups):
        if text:
            found[Keyword(kind=KeywordKind.NAME, value=text)] = None
    for group in groups:
        for length in range(1, min(PREFIX_LENGTH, len(group)) + 1):
            found[Keyword(kind=KeywordKind.NAME_PREFIX, value=group[:length])] = None
    if (day := _text(attributes, _STUDY_DATE).strip()) and _day(day):
        found[Keyword(kind=KeywordKind.DAY, value=day)] = None
        found[Keyword(kind=KeywordKind.MONTH, value=day[:6])] = None
        found[Keyword(kind=KeywordKind.YEAR, value=day[:4])] = None
    return tuple(found)


def choices(query: StudyQuery) -> list[tuple[Keyword, ...]]:
    """The ways to answer: each a set of lists whose union holds every study that matches. Never empty."""
    found: list[tuple[Keyword, ...]] = []
    if query.patient_id and query.patient_id.strip() and _literal(query.patient_id):
        plain = query.patient_id.strip()
        issuer = query.issuer
        both = patient_keyword(plain, issuer) if issuer is not None and _literal(issuer) else None
        found.append((both or Keyword(kind=KeywordKind.PATIENT_ID, value=plain),))
    if query.accession_number and query.accession_number.strip() and _literal(query.accession_number):
        found.append((Keyword(kind=KeywordKind.ACCESSION, value=query.accession_number.strip()),))
    if query.patient_name and (keyword := _name_keyword(query.patient_name)):
        found.append((keyword,))
    if query.date_from and query.date_to and (span := _date_keywords(query.date_from, query.date_to)):
        found.append(span)
    return found or [(Keyword(kind=KeywordKind.ALL),)]


def matches(query: StudyQuery, study: StudyRecord) -> bool:
    """Whether an opened study is what was asked for."""
    return (
        (query.study_uids is None or study.study_instance_uid in query.study_uids)
        and _matches_patient(query, study.patient)
        and (not query.patient_name or _matches_name(query.patient_name, study.attributes))
        and _matches_plain(query.accession_number, _text(study.attributes, _ACCESSION_NUMBER))
        and _matches_day(query, _text(study.attributes, _STUDY_DATE).strip())
    )


def _matches_patient(query: StudyQuery, patient: PatientIdentity) -> bool:
    if not query.patient_id:
        return True
    issuer_matches = query.issuer is None or glob(query.issuer.strip(), patient.issuer.strip())
    return issuer_matches and _matches_plain(query.patient_id, patient.patient_id)


def _matches_plain(pattern: str | None, text: str) -> bool:
    return not (pattern and pattern.strip()) or glob(pattern.strip(), text.strip())


def _matches_name(pattern: str, attributes: Mapping[str, Mapping[str, Any]]) -> bool:
    wanted = _casefold(pattern).strip()
    folded = fold(wanted)
    # A pattern that spells out empty trailing components ("DOE^*") also means the name without them.
    return any(glob(folded, text) or (text != "" and glob(wanted, text + "^^^^")) for text in _names(attributes))


def _matches_day(query: StudyQuery, day: str) -> bool:
    if query.date_from is None and query.date_to is None:
        return True
    return bool(_day(day)) and (query.date_from or "") <= day <= (query.date_to or "99999999")


def patient_keyword(patient_id: str, issuer: str) -> Keyword:
    """The list of a patient's studies, and of those of patients whose identity differs in white space at its ends."""
    return Keyword(kind=KeywordKind.PATIENT, value=f"{issuer.strip()}\x00{patient_id.strip()}")


def _name_keyword(pattern: str) -> Keyword | None:
    wanted = _casefold(pattern).strip()
    if _literal(wanted):
        folded = fold(wanted)
        return Keyword(kind=KeywordKind.NAME, value=folded) if folded else None
    first = min(wanted.index(mark) for mark in "*?" if mark in wanted)
    prefix = _strip(wanted[:first].split("=")[0])[:PREFIX_LENGTH]
    return Keyword(kind=KeywordKind.NAME_PREFIX, value=prefix) if prefix else None


def _date_keywords(first: str, last: str) -> tuple[Keyword, ...]:
    start, end = _day(first), _day(last)
    if start is None or end is None or end < start:
        return ()
    if (days := (end - start).days + 1) <= _LONGEST_DAYS:
        spans = [(start + timedelta(days=offset)).isoformat().replace("-", "") for offset in range(days)]
        return tuple(Keyword(kind=KeywordKind.DAY, value=day) for day in spans)
    months = range(start.year * 12 + start.month - 1, end.year * 12 + end.month)
    if len(months) <= _LONGEST_MONTHS:
        return tuple(Keyword(kind=KeywordKind.MONTH, value=f"{m // 12:04d}{m % 12 + 1:02d}") for m in months)
    years = range(start.year, end.year + 1)
    if len(years) <= _LONGEST_YEARS:
        return tuple(Keyword(kind=KeywordKind.YEAR, value=f"{year:04d}") for year in years)
    return ()


def _names(attributes: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """The folded whole name and its three folded component groups."""
    values = attributes.get(_PATIENT_NAME, {}).get("Value") or [{}]
    name = values[0] if isinstance(values[0], Mapping) else {"Alphabetic": str(values[0] or "")}
    groups = [fold(str(name.get(part) or "")) for part in ("Alphabetic", "Ideographic", "Phonetic")]
    return ["=".join(groups).rstrip("="), *groups]


def _text(attributes: Mapping[str, Mapping[str, Any]], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0] if values[0] is not None else "")


def _casefold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _strip(group: str) -> str:
    return group.strip().rstrip("^ ")


def _literal(text: str) -> bool:
    return "*" not in text and "?" not in text


def _day(text: str) -> date | None:
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
