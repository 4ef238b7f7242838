"""Several looks in one transaction see one moment; what is written meanwhile is written, and seen by the next."""

from __future__ import annotations

from datetime import date

from catalog_world import new_instance
from sqlalchemy import Engine
from statements import told

from server.catalog import Catalog


def test_looks_at_once_see_one_moment(catalog: Catalog) -> None:
    new = new_instance()
    with catalog.at_once() as moment:
        assert moment.find_instance(new.path) is None
        catalog.register(new)
        catalog.approve_project("demo", date(2030, 1, 1))
        assert moment.find_instance(new.path) is None
        assert moment.instances_of(new.path.study) == []
        assert moment.project_approved_until("demo") is None
    assert catalog.find_instance(new.path) is not None
    with catalog.at_once() as moment:
        assert moment.find_instance(new.path) is not None
        assert moment.project_approved_until("demo") == date(2030, 1, 1)


def test_a_look_can_make_a_key_on_its_way(catalog: Catalog) -> None:
    with catalog.at_once() as moment:
        assert moment.find_study_key("2.25.1") is None
        made = moment.study_key("2.25.1", lambda context: context.encode())
        assert moment.study_key("2.25.1", lambda _: b"another") == made
    assert catalog.find_study_key("2.25.1") == made


def test_looks_at_once_are_one_transaction(catalog: Catalog, engine: Engine) -> None:
    new = new_instance()
    catalog.register(new)
    with told(engine) as said, catalog.at_once() as moment:
        found = moment.find_instance(new.path)
        assert found is not None
        moment.find_study(new.path.study)
        moment.get_session(b"\0" * 32, 0.0)
        moment.find_study_key(new.path.study)
        moment.identifier_of(b"\0" * 16)
    begun = [one for one in said if one.startswith(("BEGIN", "SET TRANSACTION"))]
    assert len(begun) == 1, said
    assert sum(one.startswith("SELECT") for one in said) == 5, said
