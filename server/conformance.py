"""What the table of capabilities says, in the forms that clients and people read. Pure but for the policy in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as Xml

from server.capabilities import PREFIX, TABLE, Row, described
from server.negotiate import Offer
from server.services import Services

WADL = "http://wadl.dev.java.net/2009/02"
_MULTIPART = 'multipart/related; type="{}"'
_SECURITY = (
    (
        "Every answer but those marked open needs an OAuth 2 access token (RFC 9068) in the Authorization header, or "
        "the session of a browser that signed in with authorization code and PKCE. A token in an address is not one."
    ),
    (
        "The acting role picks the masking level; one resource is one URL for everybody, and its masked view is the "
        "resource: matching, counts, order, lengths and entity tags are those of the view."
    ),
    "What a caller may not see is answered as what does not exist.",
    "Every answer is private and not to be stored, and recorded in a signed journal before its first byte.",
    "Transport is TLS, by the server or by a proxy before its loopback address.",
)
_READS = (
    "Implicit VR Little Endian", "Explicit VR Little Endian", "Explicit VR Big Endian", "Deflated", "RLE Lossless",
    "JPEG Baseline", "JPEG Extended", "JPEG Lossless", "JPEG-LS", "JPEG 2000", "HTJ2K",
)  # fmt: skip


def spelled(offer: Offer) -> str:
    """A media type as an Accept header asks for it."""
    return _MULTIPART.format(offer.media_type) if offer.multipart else offer.media_type


def _base(services: Services, template: str) -> tuple[str, str]:
    """The base URI of the service that a template belongs to, and its path there."""
    root = PREFIX if template.startswith(PREFIX) else ""
    return services.settings.public_url + root, template.removeprefix(root).strip("/")


def wadl(services: Services, template: str) -> bytes:
    """A capabilities description (PS3.18 annex H) of a resource and all below it."""
    base, target = _base(services, template)
    root = Xml.Element("application", {"xmlns": WADL})
    resources = Xml.SubElement(root, "resources", {"base": base})
    rows = [(row, _base(services, row.template)[1]) for row in described(template)]
    _resource(resources, target, rows)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _resource(parent: Xml.Element, path: str, rows: Sequence[tuple[Row, str]]) -> None:
    """Add the resource at `path` (relative to the base) with its methods, then each of its children within it."""
    here = path.rpartition("/")[2] if parent.tag == "resource" else path
    element = Xml.SubElement(parent, "resource", {"path": here or "/"})
    for name in [here[1:-1]] if here.startswith("{") else []:
        Xml.SubElement(element, "param", {"name": name, "style": "template", "required": "true"})
    for row in (row for row, at in rows if at == path):
        _method(element, row)
    start = f"{path}/" if path else ""
    for child in dict.fromkeys(at[len(start) :].split("/")[0] for _, at in rows if at != path and at.startswith(start)):
        _resource(element, start + child, [(row, at) for row, at in rows if f"{at}/".startswith(f"{start}{child}/")])


def _method(parent: Xml.Element, row: Row) -> None:
    method = Xml.SubElement(parent, "method", {"name": row.method, "id": row.identifier})
    asked = Xml.SubElement(method, "request")
    if row.offers:
        accept = {"name": "Accept", "style": "header", "default": spelled(row.offers[0])}
        header = Xml.SubElement(asked, "param", accept)
        for value in _with_syntaxes(row.offers):
            Xml.SubElement(header, "option", {"value": value})
    for parameter in row.parameters:
        one = Xml.SubElement(asked, "param", {"name": parameter.name, "style": "query"})
        Xml.SubElement(one, "doc").text = parameter.says
    for media_type in row.takes:
        Xml.SubElement(asked, "representation", {"mediaType": media_type})
    for status in row.statuses:
        answered = Xml.SubElement(method, "response", {"status": str(status)})
        for offer in row.offers if status in (200, 201, 202) else ():
            Xml.SubElement(answered, "representation", {"mediaType": spelled(offer)})


def _with_syntaxes(offers: Iterable[Offer]) -> list[str]:
    found = []
    for offer in offers:
        found.append(spelled(offer))
        found += [f"{spelled(offer)}; transfer-syntax={syntax}" for syntax in offer.transfer_syntaxes]
    return found


def _plain(row: Row) -> dict[str, object]:
    return {
        "transaction": row.name,
        "section": row.section,
        "method": row.method,
        "resource": row.template,
        "takes": list(row.takes),
        "answers": _with_syntaxes(row.offers),
        "parameters": {one.name: one.says for one in row.parameters},
        "statuses": list(row.statuses),
        "open": row.action is None,
    }


def capabilities(services: Services, template: str) -> dict[str, object]:
    """The same description as `wadl`, as plain JSON: PS3.18 names the media type and leaves the form open."""
    base, _ = _base(services, template)
    return {"base": base, "transactions": [_plain(row) for row in described(template)]}


def statement(services: Services) -> dict[str, object]:
    """The conformance statement, after the outline of PS3.2; every list in it is made from what is in force."""
    bundle = services.policy.current
    claimed = [row for row in TABLE if row.section]
    syntaxes = dict.fromkeys(one for row in claimed for offer in row.offers for one in offer.transfer_syntaxes)
    return {
        "product": "Safelight",
        "standard": "PS3.18, 2026",
        "base": services.settings.public_url + PREFIX,
        "transactions": [_plain(row) for row in claimed],
        "transfer syntaxes sent": list(syntaxes),
        "transfer syntaxes read": list(_READS),
        "character sets": "all of PS3.3 C.12.1.1.2 are read; UTF-8 is sent in JSON",
        "security": list(_SECURITY),
        "levels": {level.name: level.description for level in bundle.levels.values()},
        "roles": {role: list(ladder) for role, ladder in bundle.ladders.items()},
    }


def markdown() -> str:
    """The README's table: one row a service, over all its resources."""
    lines = ["| service | PS3.18 | resources | media types answered |", "|---|---|---|---|"]
    services = dict.fromkeys(row.service for row in TABLE if row.section)
    for service in services:
        rows = [row for row in TABLE if row.section and row.service == service]
        sections = ", ".join(dict.fromkeys(row.section for row in rows))
        if service == "Capabilities":
            where = f"`OPTIONS` on `{PREFIX}/` and all resources below"
        else:
            where = ", ".join(f"`{row.method} {row.template.removeprefix(PREFIX)}`" for row in rows)
        types = dict.fromkeys(f"`{spelled(offer)}`" for row in rows for offer in row.offers)
        lines.append(f"| {service} | {sections} | {where} | {', '.join(types)} |")
    return "\n".join(lines)
