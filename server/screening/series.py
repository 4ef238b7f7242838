"""What one worker knows of the series it is at: a small picture of every slice, and where the head lies in them.

A finding is kept while few slices come in, since it speaks of the patient's place in the scanner and holds for slices
between those it was made of; a quarter more slices, and it is made anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from server.model import Region
from server.screening import sought
from server.screening.heads import CONFIGURATION, LEAST_SLICES, HeadFinder, HeadFinding, Verdict
from server.screening.packaged import HEAD, HEAD_FACE
from server.screening.shell import head_surface
from server.screening.volume import Slice, stacks

# Series kept at a time, and slices of one: more than these are no single head.
_KEPT, _MOST = 16, 6000
_GROWTH = 1.25
# Instances of which it is remembered with how many slices they were put back into the queue.
_REMEMBERED = 200_000
# Findings are alike where no corner of a slice moves by more than this, in voxels of the template.
_ALIKE = 2.0

Place = tuple[str, int]
"""A slice's name: its instance, and its frame from 1."""


@dataclass(kw_only=True)
class _Known:
    instances: set[str] = field(default_factory=set)
    slices: dict[Place, Slice] = field(default_factory=dict)
    judged: int = 0
    findings: dict[Place, HeadFinding] = field(default_factory=dict)


class SeriesHeads:
    """Holds the template and the last few series. One per worker; `at_hand` is the series whose film it had last."""

    def __init__(self, finder: HeadFinder) -> None:
        self._finder = finder
        self.at_hand = ""
        self._series: OrderedDict[str, _Known] = OrderedDict()
        self._outgrown: OrderedDict[str, int] = OrderedDict()

    def version(self) -> str:
        """Template and configuration, as `TextDetector.version`."""
        return f"{sought.HEADS}:{HEAD.sha256[:8]}{HEAD_FACE.sha256[:8]}:c{CONFIGURATION}"

    def missing(self, series: str, instances: Iterable[str]) -> list[str]:
        """Which of the instances have not been put to this series yet."""
        known = self._known(series)
        return [one for one in instances if one not in known.instances]

    def put(self, series: str, instance: str, slices: Mapping[int, Slice]) -> None:
        """The slices of one instance, by frame number; none where it has none that lie anywhere."""
        known = self._known(series)
        known.instances.add(instance)
        for number, one in slices.items():
            if len(known.slices) < _MOST:
                known.slices[instance, number] = one

    def judge(self, series: str) -> bool:
        """Look for the head in all that was put. True if what was said before of these slices no longer holds.

        What was not said before counts as said, and as no head. Of few slices only a doubt can be said: that there is a
        head in the volume that they have become is news, whatever was said of them.
        """
        known = self._known(series)
        if not known.slices or not self._due(known):
            return False
        places = list(known.slices)
        grown = known.judged < LEAST_SLICES <= len(places)
        former, known.judged = known.findings, len(places)
        known.findings = dict(zip(places, self._finder.find(list(known.slices.values())), strict=True))
        return any(
            not _alike(known.slices[one], former.get(one), known.findings[one])
            or (grown and known.findings[one].verdict is not Verdict.NO_HEAD)
            for one in places
        )

    def outgrown(self, series: str, instance: str) -> bool:
        """Whether to screen an instance again after `judge` said so; True once for as many slices, and a quarter more.

        A series that was forgotten meanwhile is judged as if for the first time: its instances must not go round for
        ever because of that.
        """
        count = len(self._known(series).slices)
        if count < _GROWTH * self._outgrown.get(instance, 0):
            return False
        self._outgrown[instance] = count
        if len(self._outgrown) > _REMEMBERED:
            self._outgrown.popitem(last=False)
        return True

    def of_instance(
        self, series: str, instance: str, frames: Iterable[int], *, said: bool = False
    ) -> tuple[list[Region], bool]:
        """The head surface on these frames of an instance, and whether one of them may show a head that was not found.

        A slice too many to be kept counts as such a one, and one without a head where the header has `said` there is.
        """
        known, regions, uncertain = self._known(series), list[Region](), False
        for number in frames:
            one = known.slices.get((instance, number))
            finding = known.findings.get((instance, number))
            if one is None or finding is None or finding.verdict is Verdict.UNCERTAIN:
                uncertain = True
            elif finding.verdict is Verdict.NO_HEAD:
                uncertain |= said
            elif finding.to_template is not None:
                confidence = min(1.0, finding.overlap)
                regions += head_surface(
                    finding.to_template, self._finder.face, one.geometry, frame_number=number, confidence=confidence
                )
        return regions, uncertain

    def doubted(self, series: str) -> set[str]:
        """The instances that were put of which some slice may show a head that was not found."""
        findings = self._known(series).findings
        return {name for (name, _), one in findings.items() if one.verdict is Verdict.UNCERTAIN}

    def _due(self, known: _Known) -> bool:
        if len(known.slices) >= _GROWTH * known.judged or known.judged < LEAST_SLICES <= len(known.slices):
            return True
        slices = known.slices
        for members in stacks(list(slices.values())):
            names = [list(slices)[index] for index in members]
            said = [known.findings[name] for name in names if name in known.findings]
            if not said:
                return True
            # Slices that have come in since: what was said of the others of their stack holds for them.
            for name in names:
                known.findings.setdefault(name, said[0])
            if said[0].verdict is Verdict.NO_HEAD and len(said) < len(names):
                return True
        return False

    def _known(self, series: str) -> _Known:
        known = self._series.setdefault(series, _Known())
        self._series.move_to_end(series)
        if len(self._series) > _KEPT:
            self._series.popitem(last=False)
        return known


def _alike(where: Slice, former: HeadFinding | None, now: HeadFinding) -> bool:
    if former is None:
        return now.verdict is Verdict.NO_HEAD
    if former.to_template is None or now.to_template is None:
        return former.verdict is now.verdict
    matrix, rows, columns = where.geometry.matrix(), where.geometry.rows, where.geometry.columns
    corners = matrix @ np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]], np.float64)
    apart = [found[:3, :3] @ corners + found[:3, 3:] for found in (former.to_template, now.to_template)]
    return bool(np.abs(apart[0] - apart[1]).max() <= _ALIKE)
