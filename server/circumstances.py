"""What the rules may know of a request beside who asks: hour, zone, way of signing in, and how the project stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from server.model import Approval, Ask, Caller
from server.services import Services


def placed(services: Services, ask: Ask, caller: Caller) -> Caller:
    """The caller in the circumstances of this request. Raises `Busy`, `SealBroken`.

    Which glass is broken stays as it is: it depends on the study.
    """
    now = datetime.fromtimestamp(services.clock(), ZoneInfo(services.settings.time_zone))
    around = replace(
        caller.circumstances,
        approval=_approval(services, caller.project, now.date()),
        zone=ask.zone,
        hour=now.hour,
        weekday=now.isoweekday(),
        acr=ask.context or None,
    )
    return replace(caller, circumstances=around)


def _approval(services: Services, project: str | None, today: date) -> Approval | None:
    if project is None:
        return None
    until = services.catalog.project_approved_until(project)
    if until is None:
        return Approval.UNLISTED
    return Approval.APPROVED if today <= until else Approval.ENDED
