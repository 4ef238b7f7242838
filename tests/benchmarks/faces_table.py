"""`PYTHONPATH=.:tests python tests/benchmarks/faces_table.py`: portraits found, false boxes, and the cost of a look.

Needs scikit-image (its `lfw_subset`: a hundred faces, then a hundred pieces of pictures without one).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import skimage

from server.demo.films import chest_picture
from server.screening.faces import FaceDetector

PICTURES: Any = skimage.data


def main() -> None:
    detector = FaceDetector()
    small = (PICTURES.lfw_subset() * 255).astype(np.uint8)[:, :, :, None]
    boxes = [detector.find(one, frame_number=1) for one in small]
    surest = sorted(round(max((one.confidence for one in found), default=0.0), 2) for found in boxes[:100])[:5]
    print(f"faces found: {sum(map(bool, boxes[:100]))} of 100, the least sure {surest}")
    print(f"pieces without a face that have a box: {sum(map(bool, boxes[100:]))} of 100")
    film = (np.clip(chest_picture(), 0, 1) * 4095).astype(np.uint16)[:, :, None]
    for name, frame in (("chest film", film), ("portrait", PICTURES.astronaut()), ("slice", film[:512, :512])):
        detector.find(frame, frame_number=1)
        began = time.process_time()
        found = detector.find(frame, frame_number=1)
        print(f"{name} {frame.shape[:2]}: {len(found)} boxes, {time.process_time() - began:.2f} s CPU")


if __name__ == "__main__":
    main()
