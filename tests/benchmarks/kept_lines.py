"""Lines for the benchmark of kept text: identities, many of which look like technique, and technique and markers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from text_lines import Chance, Script, scripts

_SURNAMES = ("Muster", "Nobody", "Fiction", "Li", "Ma", "Pa", "Lo", "Low", "Ng", "Res", "Pen", "Kv", "Lat", "Ap", "Cho")
_GIVEN = ("Maxima", "Nora", "Frida", "Ivan", "L", "R", "L.", "R.", "P.", "C.", "M", "W.", "Ma", "An", "Bo", "Jo")
_HOUSES = ("Haus Beispiel", "ST. EXAMPLE HOSP", "MED CTR NOWHERE", "Klinik L", "Radiologie R", "CT PRAXIS MUSTER")
_LABELS = ("ID", "MRN", "PID", "Acc", "Acc#:", "No.", "Fall", "Bett", "Zi.", "Tel")
_TITLES = ("Dr.", "Prof.", "MTRA", "RT(R)", "Tech:", "Op:", "Ref:")
_VIEWS = ("L", "R", "AP", "PA", "LAT", "ERECT", "SUPINE", "PORTABLE", "AP ERECT", "PA UPRIGHT", "Semi-Upright")


def _pick(chance: Chance, options: Sequence[str]) -> str:
    return options[int(chance.integers(len(options)))]


def _number(chance: Chance, low: int, high: int) -> str:
    return str(int(chance.integers(low, high)))


def _cased(chance: Chance, text: str) -> str:
    return text.upper() if chance.integers(2) else text


def _date(chance: Chance) -> str:
    year, month, day = int(chance.integers(1920, 2026)), int(chance.integers(1, 13)), int(chance.integers(1, 29))
    forms = (
        f"{day:02}.{month:02}.{year}",
        f"{day}.{month}.{year % 100:02}",
        f"{month:02}/{day:02}/{year}",
        f"{month}/{day}",
        f"{day}.{month}.",
        f"{day:02}{month:02}{year}",
        f"{year}{month:02}{day:02}",
        f"{year}",
        f"{day:02}-{month:02}-{year % 100:02}",
        f"{day}. {_pick(chance, ('JAN', 'MAI', 'Mar', 'Oct', 'Dec'))} {year}",
    )
    return _pick(chance, forms)


def names(chance: Chance) -> str:
    """A person, often with a name that is also a view, a side, a unit or a mode."""
    one, other = _pick(chance, _SURNAMES), _pick(chance, _GIVEN)
    forms = (
        f"{one} {other}",
        f"{one}, {other}",
        f"{other} {one}",
        f"{one}^{other}",
        f"{_pick(chance, _TITLES)} {one}",
        f"{other} {one} {_pick(chance, 'MFW')}",
        f"{other} {_pick(chance, _VIEWS)} {one}",
        f"{one} {_number(chance, 18, 99)}",
    )
    return _cased(chance, _pick(chance, forms))


def numbers(chance: Chance) -> str:
    """A date, a time, an age, an identifier, alone or behind the label of one."""
    forms = (
        _date(chance),
        f"{int(chance.integers(24)):02}:{int(chance.integers(60)):02}",
        f"{int(chance.integers(24)):02}:{int(chance.integers(60)):02}:{int(chance.integers(60)):02}",
        f"{_number(chance, 1, 99)} {_pick(chance, ('J', 'J.', 'Y', 'Yrs', 'y/o', 'ans', 'M', 'F'))}",
        f"{_pick(chance, ('M', 'F', 'W', 'm', 'D'))} {_number(chance, 10, 99)}",
        f"0{_number(chance, 10, 99)}{_pick(chance, 'YMWD')}",
        f"{_number(chance, 45, 140)} kg",
        f"{_number(chance, 145, 199)} cm",
        _number(chance, 1000, 99_999_999),
        f"{_pick(chance, _LABELS)} {_number(chance, 10, 999_999)}",
        f"{_pick(chance, 'ABCDEFGLRSW')}{_number(chance, 1000, 999_999)}",
        f"{_number(chance, 10, 99)}-{_number(chance, 10, 99)}-{_number(chance, 100, 999)}",
    )
    return _pick(chance, forms)


def alike(chance: Chance) -> str:
    """An identity with technique or a marker in the same line, or in the form of one."""
    forms = (
        f"{_pick(chance, _VIEWS)} {_date(chance)}",
        f"{_pick(chance, _VIEWS)} {_number(chance, 1000, 999_999)}",
        f"{_pick(chance, _SURNAMES)} {_number(chance, 40, 140)} kV",
        f"{_number(chance, 40, 140)} kV {_pick(chance, _SURNAMES)}",
        f"{_number(chance, 1, 40)} mAs {_date(chance)}",
        f"MI {_date(chance)}",
        f"Fr. {int(chance.integers(1, 29))}.{int(chance.integers(1, 13))}.",
        f"W {_number(chance, 1920, 2024)} L",
        f"L{_number(chance, 10, 99)}-{_number(chance, 100, 9999)}",
        f"C{_number(chance, 1, 9)}-{_number(chance, 10, 99)}",
        f"IM {_number(chance, 1000, 99_999)}",
        f"2D {_pick(chance, _SURNAMES)}",
        _pick(chance, ("MA KV", "L LI", "R. PA", "R PA", "PA LI", "L. LOW", "P. Low", "C. LAT", "AP NG", "Ma, Kv")),
        f"{_pick(chance, _VIEWS)} {_pick(chance, _SURNAMES)}",
        f"{_pick(chance, _SURNAMES)} {_pick(chance, ('L', 'R', 'AP', 'ERECT'))}",
        f"{_pick(chance, ('L', 'R'))}/{_pick(chance, ('MS', 'HSA', 'KL', 'AB', 'JD'))}",
        f"Chest {_pick(chance, _SURNAMES)}",
    )  # fmt: skip
    return _cased(chance, _pick(chance, forms))


def houses(chance: Chance) -> str:
    return _cased(chance, f"{_pick(chance, _HOUSES)} {_number(chance, 1, 99) if chance.integers(2) else ''}".strip())


def technique(chance: Chance) -> str:
    """Nothing that identifies: technique, scale and markers."""
    forms = (
        f"{_number(chance, 40, 140)} kV",
        f"{_number(chance, 1, 99)}.{_number(chance, 0, 9)} mAs",
        f"{_number(chance, 1, 99)} mm",
        f"{_number(chance, 1, 30)} cm",
        f"{_number(chance, 10, 99)}Hz",
        f"MI 0.{_number(chance, 1, 9)}",
        f"TIS0.{_number(chance, 1, 9)} MI 1.{_number(chance, 1, 9)}",
        f"Gain {_number(chance, 10, 99)}",
        f"W: {_number(chance, 100, 4000)} L: {_number(chance, 10, 2000)}",
        f"Se: {_number(chance, 1, 9)}",
        f"Zoom {_number(chance, 1, 3)}.{_number(chance, 0, 9)}x",
        f"C{_number(chance, 5, 9)}-{_number(chance, 1, 4)}",
        "2D",
        "HGen",
        _pick(chance, _VIEWS),
        _pick(chance, ("Chest", "Abdomen", "Pelvis", "Adult Echo", "Thyroid", "Knee")),
    )
    return _pick(chance, forms)


def identifying() -> list[Script]:
    """The kinds of identifying lines, in the fonts at hand: the last is 汉字."""
    known = scripts()
    fonts = known[0].fonts
    kinds: list[tuple[str, Callable[[Chance], str]]] = [
        ("names", names), ("numbers", numbers), ("alike", alike), ("alike ", alike), ("houses", houses),
    ]  # fmt: skip
    chinese = [one for one in known if "汉字" in one.name and not one.vertical]
    return [Script(name=name.strip(), text=text, fonts=fonts) for name, text in kinds] + chinese


def telling_nothing() -> list[Script]:
    return [Script(name="technique", text=technique, fonts=scripts()[0].fonts)]
