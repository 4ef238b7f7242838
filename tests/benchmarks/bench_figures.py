"""The figures: each request as a client sends it, in one thread, and the floor of the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import bench_floors as floors
from bench_houses import CT, LARGE, SERIES, large_film
from bench_measure import Cost, Row, measure
from builders import PixelFormat, chest_film, part10_bytes
from house import House

from server.model import Action, AuditEvent, Caller
from server.policy.decide import choose_role, decide

JSON = "application/dicom+json"


def answered(house: House, path: str, user: str, accept: str = "*/*", status: int = 200) -> Callable[[], bytes]:
    token = house.token(user)

    def ask() -> bytes:
        response = house.get(path, user, accept, token=token)
        assert response.status_code == status, response.status_code
        body: bytes = response.get_data()
        return body

    return ask


def of_a_film(house: House, scratch: Path) -> Iterator[Row]:
    """One 2500×3000 film of 12 bits, at the researcher's level, with the text regions that its screening found."""
    large = next(one for one in house.instances("researcher") if _columns(house, one) == LARGE.columns)
    samples = answered(house, f"{large}/frames/1", "researcher", "application/octet-stream")()
    file = floors.sealed(scratch / "frame", samples)
    picture = measure(lambda: floors.picture(file, LARGE.rows, LARGE.columns))
    shape = f"{LARGE.rows}×{LARGE.columns}, 12 bits"
    rendered = answered(house, f"{large}/rendered", "researcher", "image/jpeg")
    film = chest_film(LARGE)
    path = f"/dicomweb/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}"
    assert rendered() != answered(house, f"{path}/rendered", "clinician", "image/jpeg")(), "nothing is masked"
    cold = measure(rendered, before=house.reopen, warm=False, rounds=5)
    yield Row(name="masked `/rendered`, cold", cost=cold, floor=picture, note=f"{shape}; first request after a start")
    yield Row(name="masked `/rendered`, warm", cost=measure(rendered), floor=picture, note=shape)
    etag = house.get(f"{large}/rendered", "researcher", "image/jpeg").headers["ETag"]
    held = measure(lambda: house.get(f"{large}/rendered", "researcher", "image/jpeg", headers={"If-None-Match": etag}))
    yield Row(name="the same, held already (304)", cost=held, floor=picture)
    frame = answered(house, f"{large}/frames/1", "researcher", "application/octet-stream")
    opened = measure(lambda: floors.frame(file))
    yield Row(name="one frame, masked, uncompressed", cost=measure(frame), floor=opened, note="floor: AES-GCM alone")


def _columns(house: House, path: str) -> int:
    (found,) = house.get(f"{path}/metadata", "researcher", JSON).json or [{}]
    return int(found["00280011"]["Value"][0])


def of_a_series(house: House) -> Iterator[Row]:
    """The metadata of a whole series: with nothing prepared, from its prepared form, and as it was answered before."""
    (series,) = {
        path.rpartition("/instances/")[0] for path in house.instances("researcher") if _columns(house, path) == 32
    }
    film = chest_film(PixelFormat(rows=32, columns=32), study=2)
    stored = f"/dicomweb/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}"
    headers = [floors.sealed_header(part10_bytes(film))] * SERIES
    floor = measure(lambda: floors.metadata(headers), rounds=5)

    def relabelled() -> None:
        # A new revision: what was answered before is not the answer any more, what was prepared still serves.
        house.services.catalog.set_labels(film.StudyInstanceUID, departments=["radiology"], care_team=[])

    costs: dict[tuple[str, str], Cost] = {}
    for note, before in (("nothing prepared", house.services.cache.drop), ("prepared", relabelled), ("again", None)):
        for user, path in (("researcher", series), ("clinician", stored)):
            ask = answered(house, f"{path}/metadata", user, JSON)
            costs[note, user] = measure(ask, rounds=5, before=before)
            name = f"metadata of {SERIES} instances, {user}, {note}"
            yield Row(name=name, cost=costs[note, user], floor=floor, note="floor: open, parse, JSON")
        masked, unmasked = costs[note, "researcher"], costs[note, "clinician"]
        yield Row(name=f"masked against unmasked, {note}", cost=masked, floor=unmasked, note="floor: the clinician's")


def of_stores(house: House, scratch: Path) -> Iterator[Row]:
    """STOW-RS on the disk, each film new, until it is durable."""
    for name, body in (("CT, 0.5 MB", _ct), ("2500×3000, 15 MB", large_film)):
        films = [body(1000 + number) for number in range(6)]
        coming = iter(films)
        cost = measure(lambda: _stored(house, next(coming)), rounds=5)  # noqa: B023
        floor = measure(lambda: floors.store(scratch / "stored", films[0]))  # noqa: B023
        rate = f"{1 / cost.wall:.1f} films, {len(films[0]) / 1e6 / cost.wall:.1f} MB a second"
        yield Row(name=f"STOW, {name}", cost=cost, floor=floor, note=rate)


def _stored(house: House, body: bytes) -> None:
    assert house.store(body).status_code == 200


def _ct(instance: int) -> bytes:
    return part10_bytes(chest_film(CT, study=3, instance=instance))


def of_parts(house: House, scratch: Path) -> Iterator[Row]:
    """What every request pays: the decision, and the durable line in the journal."""
    services = house.services
    bundle = services.policy.current
    study = services.catalog.find_study(chest_film().StudyInstanceUID)
    caller = Caller(
        subject="s", issuer="i", client="c", roles=frozenset({"clinician"}), departments=frozenset({"radiology"})
    )
    acting = choose_role(bundle, caller, None)
    assert isinstance(acting, Caller)
    decision = measure(lambda: decide(bundle, acting, Action.SEARCH, study, house.now), times=100)
    yield Row(name="one decision", cost=decision)
    event = AuditEvent(kind="answer", action="search", status=200, request="r" * 32, subject="s", object="o" * 200)
    line = b"x" * 1100 + b"\n"
    append = measure(lambda: services.journal.append(event), times=20)
    floor = measure(lambda: floors.appended(scratch / "lines", line), times=20)
    yield Row(name="one entry in the journal", cost=append, floor=floor, note="floor: append and fdatasync")
