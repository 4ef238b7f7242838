"""PS3.15 2026d Table E.3.10-1, Safe Private Attributes: 479 private elements by creator and group.

Each word is the low byte of an element number, the VR and, where it is not 1, the multiplicity: `1AFL3` is element
xx1A, VR FL, three values. `--` stands where the table names no VR. Creators, numbers, VRs and multiplicities only; what
the elements mean is told by the table. Compared with pydicom's private dictionary, which knows 205 of them and agrees
on the VR of 203.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

EDITION = "2026d"
_WORD = re.compile(r"([0-9A-F]{2})([A-Z/]+|--)([0-9n-]*)")
_VOLUMES = (
    "01FL 02FL 03FL 04FL 05FL 06FL 07FL 08FL 09FL 0AFL 0BFL 0CFL 0DFL 0EFL 0FFL 10FL 11FL 12FL 13FL 14FL 15FL 16FL"
)
_TABLE: Mapping[tuple[str, int], str] = {
    ("Philips PET Private Group", 0x7053): "00DS 09DS",
    ("ELSCINT1", 0x00E1): "21DS 50DS",
    ("ELSCINT1", 0x01E1): "26CS",
    ("ELSCINT1", 0x01F1): "01CS 07DS 26DS 27DS",
    ("GEMS_ACQU_01", 0x0019): "23DS 24DS 27DS 9ELO",
    ("GEMS_PARM_01", 0x0043): "27SH 39IS4 6FDS3-4",
    ("GEMS_HELIOS_01", 0x0045): "01SS 02FL",
    ("GEMS_SERS_01", 0x0025): "07SL",
    ("GEIIS PACS", 0x0903): "10US 11US 12US",
    ("Philips Imaging DD 001", 0x2001): (
        "01FL 02IS 03FL 04CS 05SS 06CS 07CS 08IS 09FL 0AIS 0BCS 0CCS 0ECS 0FSS 10CS 11FL 12CS 13SL 14SL 15SS 16SS "
        "17SL 18SL 19CS 1AFL3 1BFL 1CCS 1DIS 1ECS 1FCS 21CS 22FL 23DS 24CS 25SH 26CS 27CS 28FL 29FL 2ACS 2BCS 2CFL "
        "2DSS 2ECS 2FFL 30UL 31US 32FL 33CS 34CS 35SS 36CS 37CS 38FL 39FL 3ACS 3BFL4 3CFL2 3DUL 3EFL2 3FCS 40CS 41FL "
        "42CS 43IS2 44IS2 45IS2 46CS 47FL 48SS 49IS 4ACS 4BCS 4CCS 4DCS 4ECS 4FFD 50LO 51IS 53CS 54FL 55UL 56CS 57CS "
        "58UL 59IS 5AST 5DST 5EST 5FSQ1-n 60SL 61CS 62CS 63CS 64SH 65SQ1-n 66SQ1-n 67CS 68SQ1-n 69SQ1-n 6ASQ1-n "
        "6BSQ1-n 6DLO 6ESH 6FSQ1-n 71CS 72IS2 73SQ1-n 74DS1-n 75DS1-n 76UL 77CS 79SQ1-n 7AFL 7BIS 7CUL 7DOW/OB 7EUS "
        "7FUS 80LO 81IS 82IS 83DS 84DS 85DS 86IS 87SH 88DS 89DS 8ADS 8BSH 8CCS0-n 90LO 91LO 92LO 93LO 94LO 9ASQ1-n "
        "9BUL 9DLO 9FUS2 A1CS A2US A3UL A4UL A5UL C0UL C1LO C2FD C3UL C5SQ0-1 C6SQ0-1 C7SQ0-1 CASQ CBIS D0AT1-n "
        "D1US1-n D2US D3US D4US D5US D6US D7US D8US D9US DACS DBUS DCUS DDUS DEUS DFUL E9SQ0-n F1FL6 F2FL1-n F3CS "
        "F4UL F5CS F6UL F7LO0-n F9SQ0-n FBSQ0-1 FCSQ0-1 FDSQ0-n FFOW/OB"
    ),
    ("Philips Imaging DD 002", 0x2001): (
        "01US 02FD 03CS 04SS 05FD 06US 07CS 08FD 09FD 0AFD 0BFD 0CUS 0DCS 0EFD 0FUS 10SS 11SS 12CS 13SS 14FD 15FD "
        "16FD 17FD 18CS 19FD 1AFD 1BFD 1CFD 1DFD 1EFD 1FFD 20FD 21FD 22FD 23FD 24FD 25FD 26FD 27FD 28US 29US 2AUS "
        "2BSS 2CFD 2DFD 2ESS 2FSS 30SS 31SS 32SS 33SS 34SS 35FD 36FD 37FD 38FD 39CS 3ASQ 3BSQ0-n 3CSQ1-n 3DSQ0-1 3ESS "
        "3FSS 40SS 50CS 52LO 53CS 57SQ0-1 58SQ0-1 5ALO 5CLO 5DUL 5EUL 5FSQ0-1 63ST 64SQ0-1 65CS 66CS 67LO 68LO "
        "6BLO0-n 71CS 72FL2 73FL2 74LO 75SS0-n"
    ),
    ("Philips Imaging DD 097", 0x2001): (
        "01SQ 02FD3 03FD2 04FD6 05SQ1-n 06SQ0-n 07FD 08SQ 0ASQ1-n 0BSQ 0DFD 0ESQ0-n 0FFD2 12SQ 17US 18US 19LO 1AFD "
        "1BUL 1CFD3 1DFD3 1EFD4-n 1FFD2-n 21UL 22FD 23FD 24FD 25FD 26FD 27FD 28LO 2ALO 2BFD3 2CFD3 2DUL 2ESQ0-1 2FOB "
        "30SL3 31SL3 32SL2 36LO 37FD3 38FD9 39FD 3AFD2 3BFD2 3CSQ 3DFD1-n 3ESQ0-n 40UL 41LO 42SQ0-n 44LO 45SL 46LO "
        "47OB1-n 49SQ 4AOB1-n 4BSL 4CLO A1CS1-2 A2FD3 A3FD9 A4FD2 A5FD1-n A6US A8IS1-n A9SQ0-n AAFD1-n ABIS"
    ),
    ("Philips Imaging DD 129", 0x2001): "00SQ 01SQ 02SQ0-1 03UL 04SQ1-n 05FD4 06FD 07CS 08CS 09UL",
    ("Philips MR Imaging DD 001", 0x2005): "0DFL 0EFL",
    ("Philips ST80i", 0x0025): "01OW",
    ("SIEMENS MR HEADER", 0x0019): "0CIS 0DCS 0EFD3 27FD6",
    ("HOLOGIC, Inc.", 0x7E01): "01LO 02SH 10SQ 11SQ 12OB",
    ("NQHeader", 0x0099): "01UI 02UI 04SS 05LT 10FL 20SH 21FL",
    ("NQLeft", 0x0199): _VOLUMES,
    ("NQRight", 0x0299): _VOLUMES,
    ("SIEMENS Ultrasound SC2000", 0x0119): (
        "00LO 01OB 02SQ 03SQ 04OB 05UL 06UL 07UL 08UL 09SS 10SH 11-- 12-- 13IS 21SH"
    ),
    ("SIEMENS Ultrasound SC2000", 0x0129): (
        "00SQ 02UI 03-- 04-- 05-- 06SQ 07UI 08OB 09SQ 10OB 11SQ 12UI 20SQ 21OB 22OB 29OB 30CS"
    ),
    ("SIEMENS Ultrasound SC2000", 0x0139): "01SL",
    ("SIEMENS Ultrasound SC2000", 0x0149): "01FD1-n 02FD1-n 03FD1-n",
    ("SIEMENS Ultrasound SC2000", 0x7FD1): "01OB 09UI 10OB 11OB",
    ("SIEMENS SYNGO ULTRA-SOUND TOYON DATA STREAMING", 0x7FD1): "01OB 09UI 10OB 11OB",
}


class Listed(NamedTuple):
    """One row: creator, group, low byte of the element number, VRs ("" or several with `/`), multiplicity."""

    creator: str
    group: int
    element: int
    vr: str
    multiplicity: str


def _rows() -> Iterator[Listed]:
    for (creator, group), words in _TABLE.items():
        for word in words.split():
            match = _WORD.fullmatch(word)
            if match is None:
                raise ValueError(f"not a row: {word}")
            yield Listed(creator, group, int(match[1], 16), match[2].strip("-"), match[3] or "1")


SAFE_PRIVATE = tuple(_rows())
