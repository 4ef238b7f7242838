from __future__ import annotations

import numpy as np
import pytest
from builders_pixels import BurnedText, PixelFormat, frame_samples
from numpy.typing import NDArray

from server.screening.picture import Grey
from server.screening.reader import Reading
from server.screening.regions import RESIDUAL, UNREAD
from server.screening.residual import CONFIDENCE, READ, SURE, ResidualDetector

LINE = BurnedText(text="MUSTER MAXIMA 1950", top_row=40, left_column=60, height=24)


@pytest.fixture(scope="module")
def second() -> ResidualDetector:
    return ResidualDetector()


def film(*burned: BurnedText) -> NDArray[np.generic]:
    return frame_samples(PixelFormat(rows=300, columns=480, burned=burned), 1)


class Certain:
    """Stands in for the network: where the line is drawn is text, with this probability."""

    def __init__(self, probability: float) -> None:
        self._probability = round(255 * probability)

    def probability(self, tile: Grey) -> Grey:
        result = np.zeros(tile.shape, np.uint8)
        result[44:58, 66:300] = self._probability
        return result


def contents(second: ResidualDetector, samples: NDArray[np.generic], probability: float) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second, "_network", Certain(probability))
        return [region.content for region in second.find(samples, hidden=[], frame_number=1)]


def test_what_was_missed_is_read(second: ResidualDetector) -> None:
    found = second.find(film(LINE), hidden=[], frame_number=3)
    assert {region.content for region in found} == {""}
    assert {region.detector for region in found} == {RESIDUAL}
    assert {region.frames for region in found} == {frozenset({3})}
    assert min(region.top_row for region in found) <= 44
    assert max(region.top_row + region.row_count for region in found) >= 58


def test_what_is_hidden_is_left_alone(second: ResidualDetector) -> None:
    assert second.find(film(LINE), hidden=[(30, 40, 80, 420)], frame_number=1) == []


def test_a_mosaic_is_no_text(second: ResidualDetector) -> None:
    samples = film().copy()
    block = np.indices((64, 256)).sum(axis=0) // 8 % 2
    samples[32:96, 64:320, 0] = 1000 + 200 * block
    assert second.find(samples, hidden=[(32, 64, 96, 320)], frame_number=1) == []


def test_nothing_is_read_of_a_clean_or_constant_film(second: ResidualDetector) -> None:
    assert second.find(film(), hidden=[], frame_number=1) == []
    assert second.find(np.zeros((64, 64, 1), np.uint8), hidden=[], frame_number=1) == []


def test_the_version_names_weights_and_threshold(second: ResidualDetector) -> None:
    assert second.version().startswith("pp-ocrv5-mobile:4d97c44a20d30a81:")


def test_what_stands_out_of_a_mask_is_read(second: ResidualDetector) -> None:
    found = second.find(film(LINE), hidden=[(30, 40, 80, 160)], frame_number=1)
    assert found
    assert max(region.left_column + region.column_count for region in found) > 200


def test_what_is_read_is_text_and_what_cannot_be_is_hidden_only(second: ResidualDetector) -> None:
    grain = np.random.default_rng(1).integers(0, 4096, (300, 480, 1)).astype(np.uint16)
    assert contents(second, film(LINE), CONFIDENCE + 0.02) == [""]
    assert contents(second, grain, CONFIDENCE + 0.02) == [UNREAD]


def test_what_is_all_but_certain_is_text_unread(second: ResidualDetector) -> None:
    grain = np.random.default_rng(1).integers(0, 4096, (300, 480, 1)).astype(np.uint16)
    assert contents(second, grain, SURE + 0.02) == [""]


@pytest.mark.parametrize(
    ("text", "certainty", "content"), [("AB", READ, ""), ("AB", READ - 0.01, UNREAD), ("I", 1.0, UNREAD)]
)
def test_a_reading_is_two_characters_of_some_certainty(
    second: ResidualDetector, monkeypatch: pytest.MonkeyPatch, text: str, certainty: float, content: str
) -> None:
    class Fixed:
        def read(self, line: Grey) -> Reading:
            assert line.size
            return Reading(text=text, certainty=certainty)

    monkeypatch.setattr(second, "_reader", Fixed())
    assert contents(second, film(LINE), CONFIDENCE + 0.02) == [content]
