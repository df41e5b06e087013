"""The grid of a weekly calendar, as a form without JavaScript sees it."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from budgets.core import dayparting
from budgets.core.dayparting import notation, open_hours, parse, week_of
from budgets.forms.hours import PRESETS, HoursGridField, in_words

SLOTS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 23)), min_size=1)


class HoursForm(forms.Form):
    hours = HoursGridField(required=False)


def sent(*slots: str, on: bool = True) -> QueryDict:
    data = QueryDict(mutable=True)
    data.setlist("hours", list(slots))
    if on:
        data["hours-on"] = "1"
    return data


def boxes(form: forms.Form) -> set[tuple[int, int]]:
    """Return the hours whose boxes are ticked on the page."""
    context = form["hours"].field.widget.get_context("hours", form["hours"].value(), {})
    slots = [slot for _, day in context["widget"]["days"] for slot, _, is_open in day if is_open]
    return {(int(day), int(hour)) for day, hour in (slot.split("-") for slot in slots)}


def is_on(form: forms.Form) -> bool:
    return 'name="hours-on" value="1" checked' in str(form["hours"])


@given(SLOTS)
def test_the_boxes_of_a_calendar_are_ticked_and_sent_back_as_the_same_calendar(
    opened: set[tuple[int, int]],
) -> None:
    calendar = notation(week_of(opened))

    shown = HoursForm(initial={"hours": calendar})
    assert (boxes(shown), is_on(shown)) == (opened, True)

    again = HoursForm(sent(*(f"{day}-{hour}" for day, hour in opened)), initial={"hours": calendar})
    assert again.is_valid()
    assert again.cleaned_data == {"hours": calendar}
    assert again.changed_data == []


def test_switched_off_there_is_no_calendar_whatever_is_ticked() -> None:
    form = HoursForm(sent("0-9", on=False), initial={"hours": "Mon 9-10"})

    assert form.is_valid()
    assert (form.cleaned_data, form.changed_data) == ({"hours": None}, ["hours"])
    assert not is_on(HoursForm())
    assert not HoursForm(sent(on=False), initial={"hours": None}).has_changed()


def test_a_grid_without_a_calendar_begins_with_the_hours_of_every_day() -> None:
    form = HoursForm()
    form.fields["hours"].widget.every_day = (22, 6)

    assert boxes(form) == set(open_hours(parse("Mon-Sun 22-6")))


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ([], "opens no hour of the week; open one, or pause the campaign with its switch"),
        (["7-0"], "no hour of the week"),
        (["0-24"], "no hour of the week"),
        (["0-9", "\x00"], "no hour of the week"),
        (["9" * 5000], "no hour of the week"),
        (["Mon 9-18"], "no hour of the week"),
    ],
)
def test_what_is_no_calendar_is_refused_in_words_and_shown_again(
    slots: list[str], words: str
) -> None:
    form = HoursForm(sent(*slots), initial={"hours": "Mon 9-10"})

    assert words in form.errors["hours"][0]
    assert form.has_changed()
    assert is_on(form)
    assert boxes(form) == ({(0, 9)} & {(0, 9) for slot in slots if slot == "0-9"})


def test_presets_are_calendars() -> None:
    widget: Any = HoursForm().fields["hours"].widget
    offered = dict(widget.get_context("hours", None, {})["widget"]["presets"])

    assert offered == {title: parse(text) for title, text in PRESETS}
    assert offered["Weekdays 9–18"] == "007fc0" * 5 + "000000" * 2  # noqa: RUF001  # a range's dash


@pytest.mark.parametrize(
    ("week", "words"),
    [
        (parse("Mon-Fri 9-18"), "Mon–Fri 9–18 (45 hours a week)"),  # noqa: RUF001
        (parse("Sun 0-1"), "Sun 0–1 (1 hour a week)"),  # noqa: RUF001
        (dayparting.week_of(()), "No hour is open."),
    ],
)
def test_a_calendar_is_told_in_words(week: str, words: str) -> None:
    assert in_words(week) == words


def test_the_grid_has_nothing_inline() -> None:
    page = str(HoursForm()["hours"])

    assert "style=" not in page
    assert "<script" not in page
    assert str(HoursForm().media).count("budgets/hours.") == 2
