"""Somebody who asks ten thousand questions: every next one follows from the answers so far and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle, islice
from random import Random
from urllib.parse import quote

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-^_ abcdefghijklmnopqrstuvwxyz0189"
NAMES = (
    *("PatientName", "ReferringPhysicianName", "PatientID", "AccessionNumber", "StudyID", "StudyDescription"),
    *("SeriesDescription", "IssuerOfPatientID", "OtherPatientNames", "PatientComments", "InstitutionName"),
    *("RequestAttributesSequence.ScheduledProcedureStepID", "OtherPatientIDsSequence.PatientID", "PatientSex"),
)
DATES = ("StudyDate", "PatientBirthDate", "PerformedProcedureStepStartDate", "SeriesDate", "ContentDate")
LEVELS = ("studies", "series", "instances")
SWITCHES = (
    *("includefield=all", "includefield=PatientName&includefield=PatientComments", "fuzzymatching=true"),
    *("emptyvaluematching=true", "multiplevaluematching=true", "orderby=PatientName", "orderby=-StudyDate"),
    *("limit=1", "limit=2&offset=1", "limit=0", "offset=5", "includefield=00100010", "limit=1000&offset=3"),
    *("TimezoneOffsetFromUTC=%2B0930", "fuzzymatching=true&emptyvaluematching=true&multiplevaluematching=true"),
)
_FIRST, _LAST = date(1890, 1, 1), date(2030, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """All of an answer but its date and the random name of the request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Attack = Generator[str, Answer, None]


def extraction(name: str, level: str) -> Attack:
    """Letter by letter: whichever prefix finds something is extended; with nothing left to extend, from the start."""
    while True:
        prefix, longer = "", True
        while longer:
            longer = False
            for letter in ALPHABET:
                answer = yield f"{level}?{name}={quote(prefix + letter)}*"
                if answer.status == 200:
                    prefix, longer = prefix + letter, True
                    break


def bisection(name: str, level: str) -> Attack:
    """The earliest date, then the one after it, by halving ranges."""
    while True:
        first = _FIRST
        while first < _LAST:
            low, high = first, _LAST
            while low < high:
                middle = low + (high - low) // 2
                answer = yield f"{level}?{name}={first:%Y%m%d}-{middle:%Y%m%d}"
                low, high = (low, middle) if answer.status == 200 else (middle + timedelta(days=1), high)
            first = low + timedelta(days=1)


def dictionary(words: Sequence[tuple[str, str]], random: Random) -> Attack:
    """Every true value of both sides, under the attribute it belongs to, whole, cut, with wild cards and switches."""
    while True:
        name, value = random.choice(words)
        cut = value[: random.randint(1, len(value))]
        form = random.choice(
            (value, f"{cut}*", f"*{value[-4:]}", "?" * len(value), f"{cut}?*", value.lower(), f"-{value}")
        )
        switch = random.choice(("", "&fuzzymatching=true", "&limit=1", "&limit=1&offset=1", "&includefield=all"))
        yield f"{random.choice(LEVELS)}?{name}={quote(form)}{switch}"


def uid_lists(originals: Sequence[str], random: Random) -> Attack:
    """Lists of original UIDs and of those that were shown, in any mixture, and both as paths."""
    shown: list[str] = []
    while True:
        answer = yield "studies?includefield=StudyInstanceUID"
        shown = shown or [part.split(b'"')[0].decode() for part in answer.body.split(b"/dicomweb/studies/")[1:]]
        for _ in range(20):
            some = random.sample([*originals, *shown], random.randint(1, 5))
            name = random.choice(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
            yield f"{random.choice(LEVELS)}?{name}={quote(random.choice((',', chr(92))).join(some))}"
            yield f"studies/{some[0]}/{random.choice(LEVELS[1:])}?limit={random.randint(0, 3)}"


def switches(words: Sequence[tuple[str, str]], random: Random) -> Attack:
    """Paging, order, fields and spellings of matching, beside a filter."""
    odd = ("%", "_", "' OR 1=1 --", "*", "?", "\\", "", "MUSTER^*", "[A-Z]*", "CANARY%", "*=*", "张三", "%00", '""')
    while True:
        name = random.choice(NAMES)
        value = random.choice((*odd, random.choice(words)[1]))
        yield f"{random.choice(LEVELS)}?{name}={quote(value)}&{random.choice(SWITCHES)}"
        yield f"{random.choice(LEVELS)}?{random.choice(SWITCHES)}"


def transcript(
    ask: Callable[[str], Answer], words: Sequence[tuple[str, str]], originals: Sequence[str], number: int
) -> list[tuple[str, Answer]]:
    """`number` questions and their answers, from all attacks in turn. Deterministic but for the answers."""
    random = Random(2026)
    attacks: list[Attack] = [extraction(name, LEVELS[n % 3]) for n, name in enumerate(NAMES)]
    attacks += [bisection(name, level) for name in DATES for level in LEVELS[::2]]
    attacks += [dictionary(words, random) for _ in range(8)]
    attacks += [uid_lists(originals, random) for _ in range(4)] + [switches(words, random) for _ in range(6)]
    wanted = [next(attack) for attack in attacks]
    found: list[tuple[str, Answer]] = []
    for turn in islice(cycle(range(len(attacks))), number):
        if len(found) % 1000 == 999:
            print(f"{len(found) + 1} of {number} questions", flush=True)
        asked = wanted[turn]
        answer = ask(asked)
        found.append((asked, answer))
        wanted[turn] = attacks[turn].send(answer)
    return found
