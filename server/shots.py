"""Which frames of which films a request for pictures shows, and through which presentation state, if through any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset

from server.admit import admit, leaves
from server.develop import masked_dataset, unseal
from server.errors import NotFound, UnsupportedPixels
from server.model import Action, InstanceRecord, ObjectKind
from server.model.kinds import kind_of
from server.pixels.presentation import references
from server.transaction import Transaction

TEXTS = frozenset({ObjectKind.STRUCTURED_REPORT, ObjectKind.KEY_OBJECTS, ObjectKind.PRESENTATION_STATE})


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """One film and the frames of it that are shown, None: the first, or all as an animation.

    `state` is a presentation state as the level shows it, which calls the film `uid`; None: the film as it is.
    """

    record: InstanceRecord
    numbers: tuple[int, ...] | None
    state: Dataset | None = None
    uid: str = ""


def kind(one: InstanceRecord) -> ObjectKind:
    return kind_of(one.sop_class_uid, one.transfer_syntax_uid)


def of_states(
    transaction: Transaction, states: Sequence[InstanceRecord], numbers: tuple[int, ...] | None
) -> tuple[Transaction, list[Shot]]:
    """What the states show, and the transaction with the films that its answer depends on then.

    A film counts if it is of the same study, which the decision was about, and if it may leave at the level. Raises
    `NotFound` if none is there, `UnsupportedPixels` for frames of a state.
    """
    if numbers is not None:
        raise UnsupportedPixels("a presentation state has no frames of its own")
    film_called = _films(transaction)
    shots = []
    for one in states:
        state = masked_dataset(unseal(transaction.services, one), transaction.view).dataset
        found = ((film_called(uid), uid, frames) for uid, frames in references(state))
        shots += [
            Shot(record=film, numbers=frames or None, state=state, uid=uid) for film, uid, frames in found if film
        ]
    if not shots:
        raise NotFound
    return _depending_on(transaction, [*states, *(shot.record for shot in shots)]), shots


def through_state(
    transaction: Transaction, series: str, instance: str, numbers: tuple[int, ...] | None
) -> tuple[Transaction, list[Shot]]:
    """The film of the transaction through the presentation state of the same study that is named so in this world.

    Raises `NotFound` if there is none for this caller at this level, or if it says nothing of the film.
    """
    study, film = transaction.path["study"], transaction.instances[0]
    ask, services, view = transaction.ask, transaction.services, transaction.view
    found = admit(services, ask, Action.RETRIEVE_RENDERED, study=study, series=series, instance=instance)
    (state,) = found.instances
    if found.view.level.name != view.level.name or found.view.domain != view.domain or not leaves(view.level, state):
        raise NotFound
    if kind(state) is not ObjectKind.PRESENTATION_STATE:
        raise NotFound
    masked = masked_dataset(unseal(services, state), view).dataset
    uid = _name(transaction, film)
    if uid not in {one for one, _ in references(masked)}:
        raise NotFound
    shots = [Shot(record=film, numbers=numbers, state=masked, uid=uid)]
    return _depending_on(transaction, [*transaction.instances, state]), shots


def _films(transaction: Transaction) -> Callable[[str], InstanceRecord | None]:
    """The films of the study that may leave, by the UIDs that this world gives them."""
    study = transaction.instances[0].path.study
    every = transaction.services.catalog.instances_of(study, None)
    films = [one for one in every if one.number_of_frames and leaves(transaction.view.level, one)]
    named = {_name(transaction, one): one for one in films}
    return named.get


def _name(transaction: Transaction, one: InstanceRecord) -> str:
    return transaction.view.names(one.study, {**one.series.row_keys, **one.row_keys}).uid(one.path.instance)


def _depending_on(transaction: Transaction, records: Sequence[InstanceRecord]) -> Transaction:
    """The transaction with these instances, so that its entity tag is theirs too."""
    return replace(transaction, admission=replace(transaction.admission, instances=tuple(records)))
