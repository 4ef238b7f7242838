"""The table of capabilities is what the router does, and everything that is published says what the table says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import pytest
import states
from builders import PixelFormat, chest_film, made_up_uid, part10_bytes
from house import House
from pydicom import Dataset
from werkzeug.test import TestResponse

import server.web.dicomweb
from server import conformance
from server.capabilities import TABLE, Row
from server.conformance import spelled
from server.model import Act, Action
from server.negotiate import Choice, Offer, choose
from server.web.app import PAGES, ROUTES
from server.web.capabilities import template_of

WADL = {"w": conformance.WADL}
RETRIEVES = [row for row in TABLE if row.section.startswith(("9", "10")) and row.method == "GET"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("capabilities")) as made:
        assert made.store(part10_bytes(chest_film(PixelFormat(frames=2))), part10_bytes(REPORT)).status_code == 200
        made.screen()
        yield made


FILM = chest_film()
# In a study of its own, so that every resource of the film's holds one film and nothing else.
REPORT = states.report(StudyInstanceUID=made_up_uid("study", 2), SeriesInstanceUID=made_up_uid("series", 2))


def address(row: Row, of: Dataset = FILM) -> str:
    """The row's resource for an object in the house, with what the request cannot do without."""
    study, series, instance = of.StudyInstanceUID, of.SeriesInstanceUID, of.SOPInstanceUID
    if row.template == "/wado":
        return f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
    names = {
        "study": str(study),
        "series": str(series),
        "instance": str(instance),
        "frames": "1",
        "element": "7FE00010",
    }
    return re.sub(r"{(\w+)}", lambda found: names[found[1]], row.template)


def test_every_rule_has_a_row_and_every_row_a_rule(house: House) -> None:
    routed = sorted(
        (method, template_of(rule.rule))
        for rule in house.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    )
    assert routed == sorted((row.method, row.template) for row in TABLE)


def test_every_row_names_the_action_of_its_route(house: House) -> None:
    routes = {(route.method, template_of(route.rule)): route.action for route in ROUTES}
    pages: dict[tuple[str, str], Action | Act] = {}
    for rule in house.app.url_map.iter_rules():
        if rule.endpoint in PAGES:
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            pages[method, template_of(rule.rule)] = PAGES[rule.endpoint]
    assert {(row.method, row.template): row.action for row in TABLE if row.action} == routes | pages


@pytest.mark.parametrize("row", RETRIEVES, ids=lambda row: row.identifier)
def test_every_offered_media_type_is_answered(house: House, row: Row) -> None:
    for offer in row.offers:
        at = address(row, REPORT if offer.media_type.startswith("text/") else FILM)
        for syntax in offer.transfer_syntaxes or ("",):
            accept = spelled(offer) + (f"; transfer-syntax={syntax}" if syntax else "")
            if row.template == "/wado":
                response = house.get(f"{at}&contentType={offer.media_type}", "clinician", accept)
            else:
                response = house.get(at, "clinician", accept)
            assert response.status_code == 200, accept
            got = response.headers["Content-Type"].replace(" ", "").replace('"', "")
            assert got.startswith(spelled(offer).replace(" ", "").replace('"', "")), accept
            assert syntax in got or offer.multipart
            assert not syntax or syntax.encode() in response.get_data() + got.encode()


@pytest.mark.parametrize("row", RETRIEVES, ids=lambda row: row.identifier)
def test_nothing_else_is_offered(house: House, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Offer, ...]] = []

    def noted(header: str | None, query: Sequence[str], offers: Sequence[Offer]) -> Choice:
        seen.append(tuple(offers))
        return choose(header, query, offers)

    monkeypatch.setattr(server.web.dicomweb, "choose", noted)
    # What was chosen before is not remembered here.
    monkeypatch.setattr(server.web.dicomweb, "_chosen", lambda header, offers: noted(header, (), offers))
    assert house.get(address(row), "clinician").status_code == 200
    assert seen == ([] if row.template == "/wado" else [row.offers])
    at = f"{address(row)}&contentType=text/css" if row.template == "/wado" else address(row)
    assert house.get(at, "clinician", "text/css").status_code == 406


@pytest.mark.parametrize("row", RETRIEVES, ids=lambda row: row.identifier)
def test_every_parameter_is_taken_and_no_other(house: House, row: Row) -> None:
    at = address(row)
    joint = "&" if "?" in at else "?"
    for parameter in row.parameters:
        name = parameter.name.replace("{attribute}", "StudyInstanceUID")
        # A presentation state is named by two, and tested where there is one.
        if f"{name}=" in at or name in ("presentationUID", "presentationSeriesUID"):
            continue
        query = f"{name}={parameter.example}"
        query += "&contentType=application/dicom" if name in ("transferSyntax", "anonymize") else ""
        query += "&windowWidth=9" if name == "windowCenter" else "&windowCenter=9" if name == "windowWidth" else ""
        response = house.get(f"{at}{joint}{query}", "clinician")
        assert response.status_code in (200, 204), query
        assert response.status_code in row.statuses
    if row.service in ("Search", "Retrieve rendered", "Retrieve thumbnail", "WADO-URI"):
        assert house.get(f"{at}{joint}somethingElse=1", "clinician").status_code == 400


def test_every_body_that_is_taken_is_taken(tmp_path_factory: pytest.TempPathFactory) -> None:
    one = part10_bytes(chest_film())
    with House(tmp_path_factory.mktemp("stores")) as empty:

        def sent(row: Row, media_type: str, content: bytes) -> TestResponse:
            """The content as the media type says, in one part named after it."""
            outer, _, inner = media_type.partition("; type=")
            head = f"--b\r\nContent-Type: {inner.strip(chr(34))}\r\n\r\n".encode()
            headers = {"Content-Type": f"{media_type}; boundary=b" if inner else outer}
            body = head + content + b"\r\n--b--\r\n" if inner else content
            path = row.template.replace("{study}", FILM.StudyInstanceUID)
            return empty.request(row.method, path, "technologist", headers=headers, data=body)

        for row in (row for row in TABLE if row.service == "Store"):
            for media_type in row.takes:
                if "+" in media_type:
                    # Understood and found wanting; `test_store_metadata.py` stores by them.
                    assert sent(row, media_type, b"neither").status_code == 400, media_type
                    continue
                response = sent(row, media_type, one)
                assert response.status_code == 200, media_type
                assert response.mimetype == row.offers[0].media_type
            for media_type in ("text/css", 'multipart/related; type="text/css"', "application/dicom+json"):
                assert sent(row, media_type, one).status_code == 415, media_type


@pytest.mark.parametrize("user", ["clinician", "researcher", "front-desk", "system-administrator"])
def test_only_the_listed_statuses_are_answered(house: House, user: str) -> None:
    for row in RETRIEVES:
        path = address(row)
        for asked in (path, path.replace("2.25.", "2.25.9"), path + "?x=1", path.replace("frames/1", "frames/7")):
            for accept in ("*/*", "text/css"):
                response = house.get(asked, user, accept)
                assert response.status_code in row.statuses, (row.name, asked)


def film_path(house: House) -> str:
    (path,) = (one for one in house.instances("clinician") if FILM.SOPInstanceUID in one)
    return path


def options(house: House, path: str, accept: str | None = None) -> str:
    headers = {"Accept": accept} if accept else {}
    response = house.client.options(path, headers=headers)
    assert response.status_code == 200
    assert response.mimetype == accept or accept is None
    return response.get_data(as_text=True)


def of_wadl(text: str) -> set[tuple[str, str]]:
    """(method, template) of everything that a WADL document describes, with the base put before it."""
    root = ElementTree.fromstring(text)
    (resources,) = root.findall("w:resources", WADL)
    found: set[tuple[str, str]] = set()

    def walk(element: ElementTree.Element, at: str) -> None:
        for resource in element.findall("w:resource", WADL):
            here = f"{at}/{resource.attrib['path'].strip('/')}".rstrip("/")
            found.update((method.attrib["name"], here) for method in resource.findall("w:method", WADL))
            walk(resource, here)

    walk(resources, resources.attrib["base"])
    return found


def published(house: House, start: str = "") -> set[tuple[str, str]]:
    """What is to be described below a template: the table without pages and without OPTIONS itself."""
    return {
        (row.method, house.settings.public_url + row.template)
        for row in TABLE
        if row.section.startswith(("9", "10")) and f"{row.template}/".startswith(f"{start}/")
    }


def test_capabilities_describe_the_whole_service_at_its_base(house: House) -> None:
    for path in ("/dicomweb", "/dicomweb/"):
        assert of_wadl(options(house, path)) == published(house, "/dicomweb")
    told = json.loads(options(house, "/dicomweb/", "application/json"))
    base = house.settings.public_url
    assert {(one["method"], base + one["resource"]) for one in told["transactions"]} == published(house, "/dicomweb")
    assert of_wadl(options(house, "/wado")) == published(house, "/wado")


def test_capabilities_describe_a_resource_and_what_is_below(house: House) -> None:
    for row in (row for row in TABLE if row.method == "OPTIONS"):
        path = address(row) if "{" in row.template else row.template
        assert of_wadl(options(house, path)) == published(house, row.template.rstrip("/"))


def test_a_wadl_method_says_what_its_row_says(house: House) -> None:
    root = ElementTree.fromstring(options(house, "/dicomweb", "application/vnd.sun.wadl+xml"))
    methods = {one.attrib["id"]: one for one in root.iter(f"{{{conformance.WADL}}}method")}
    for row in RETRIEVES:
        if row.template == "/wado":
            continue
        asked = methods[row.identifier]
        options_of = [one.attrib["value"] for one in asked.findall("w:request/w:param/w:option", WADL)]
        assert [one for one in options_of if "transfer-syntax" not in one] == [spelled(one) for one in row.offers]
        queries = asked.findall("w:request/w:param[@style='query']", WADL)
        assert [one.attrib["name"] for one in queries] == [one.name for one in row.parameters]
        statuses = [int(one.attrib["status"]) for one in asked.findall("w:response", WADL)]
        assert statuses == list(row.statuses)


def test_capabilities_tell_nothing_of_what_is_there(house: House) -> None:
    path = film_path(house)
    absent = re.sub(r"2\.25\.\d+", "2.25.404", path)
    answers = {options(house, one) for one in (path, absent, re.sub(r"2\.25\.\d+", "nothing", path))}
    assert len(answers) == 1
    signed_in = house.request("OPTIONS", path, "system-administrator").get_data(as_text=True)
    assert signed_in == answers.pop()


def test_capabilities_in_another_form_are_refused_and_recorded(house: House) -> None:
    response = house.request("OPTIONS", "/dicomweb", "clinician", accept="text/css")
    assert response.status_code == 406
    assert last_entry(house)["action"] == "describe"


def test_the_statement_tells_table_levels_and_roles(house: House) -> None:
    told = house.client.get("/conformance", headers={"Accept": "application/json"}).get_json()
    rows = {(one["method"], one["resource"]) for one in told["transactions"]}
    assert rows == {(row.method, row.template) for row in TABLE if row.section}
    bundle = house.services.policy.current
    assert set(told["levels"]) == set(bundle.levels)
    assert told["roles"] == {role: list(ladder) for role, ladder in bundle.ladders.items()}
    offered = {syntax for row in RETRIEVES for offer in row.offers for syntax in offer.transfer_syntaxes}
    assert set(told["transfer syntaxes sent"]) == offered
    page = house.client.get("/conformance").get_data(as_text=True)
    for word in (*bundle.levels, "/dicomweb/studies/{study}/metadata", "1.2.840.10008.1.2.4.80"):
        assert word in page
    assert "<script>" not in page
    assert house.client.get("/conformance", headers={"Accept": "text/css"}).status_code == 406


def test_openapi_describes_every_row(house: House) -> None:
    told = house.client.get("/openapi.json").get_json()
    assert told["openapi"].startswith("3.1.")
    operations = {
        (method.upper(), path): operation for path, item in told["paths"].items() for method, operation in item.items()
    }
    assert set(operations) == {(row.method, row.template) for row in TABLE}
    identifiers = [one["operationId"] for one in operations.values()]
    assert len(set(identifiers)) == len(identifiers)
    for (_, path), one in operations.items():
        assert set(re.findall(r"{(\w+)}", path)) == {item["name"] for item in one["parameters"] if item["in"] == "path"}
        assert len({(item["name"], item["in"]) for item in one["parameters"]}) == len(one["parameters"])
        assert one["responses"]
        assert all(re.fullmatch("[2-5][0-9][0-9]", status) and item["description"]
                   for status, item in one["responses"].items())  # fmt: skip


def test_openapi_asks_for_a_token_where_the_server_does(house: House) -> None:
    told = house.client.get("/openapi.json").get_json()
    for row in TABLE:
        operation = told["paths"][row.template][row.method.lower()]
        path = re.sub(r"{\w+}", "1.2.3", row.template)
        answered = house.client.open(path, method=row.method).status_code
        asks = operation.get("security", told["security"]) != []
        # A form of no session is refused too, but by the session's cookie and not by a token.
        assert asks == (
            answered == 401
            and row.method + row.template not in ("POST/role", "POST/sign-out", "GET/callback")
            and not row.template.startswith("/governance/")
        )


def test_nothing_published_is_secret(house: House) -> None:
    path = film_path(house)
    secret = [str(house.settings.data), str(house.settings.keyring), *re.findall(r"(?<=/)[0-9][0-9.]+", path)]
    for at in ("/conformance", "/conformance?accept=application/json", "/openapi.json"):
        text = house.client.get(at).get_data(as_text=True)
        assert not any(one in text for one in secret)
        assert text == house.get(at, "security-administrator").get_data(as_text=True) or at == "/conformance"


def last_entry(house: House) -> dict[str, str]:
    lines = [line for path in sorted(house.settings.journal.glob("*.jsonl")) for line in path.read_text().splitlines()]
    found: dict[str, str] = json.loads(lines[-1])
    return found
