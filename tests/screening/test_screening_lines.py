from __future__ import annotations

import cv2
import numpy as np

from server.screening.lines import Box, boxes, enlarged


def test_a_line_grows_to_its_letters_and_beyond_its_ends() -> None:
    probability = np.zeros((200, 400), np.uint8)
    probability[100:108, 150:250] = 250
    (box,) = boxes(probability, np.full_like(probability, 128), thickest=50)
    assert (box.top, box.bottom) == (90, 118)
    assert box.left <= 128
    assert box.right >= 272
    assert box.confidence > 0.9


def test_growing_stops_at_the_frame() -> None:
    probability = np.zeros((100, 100), np.uint8)
    probability[0:8, 0:100] = 255
    (box,) = boxes(probability, np.full_like(probability, 128), thickest=50)
    assert (box.top, box.left, box.right) == (0, 0, 100)


def test_a_slanted_line_does_not_become_its_bounding_rectangle() -> None:
    probability = np.zeros((600, 600), np.uint8)
    cv2.line(probability, (100, 100), (500, 500), 255, 10)
    covered = np.zeros(probability.shape, bool)
    for box in boxes(probability, np.full_like(probability, 128), thickest=50):
        covered[box.top : box.bottom, box.left : box.right] = True
    assert covered[probability > 0].all()
    assert covered.sum() < 0.35 * 400 * 400


def test_faint_specks_and_thick_things_are_no_lines() -> None:
    probability = np.zeros((600, 600), np.uint8)
    probability[10:12, 10:12] = 255
    probability[100:110, 100:200] = 60
    probability[200:400, 200:400] = 255
    assert list(boxes(probability, np.full_like(probability, 128), thickest=50)) == []


def test_a_box_of_a_smaller_picture_covers_the_same_place() -> None:
    box = Box(top=3, left=4, bottom=10, right=20, confidence=0.5)
    assert enlarged(box, 4, (42, 1000)) == Box(top=12, left=16, bottom=42, right=84, confidence=0.5)
