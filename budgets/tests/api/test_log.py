"""What programs are told: what changed, who may run, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from budgets.models import Campaign
from budgets.tests.api.programs import Program, make_program
from budgets.tests.builders import NOW, decided, make_brand, make_campaign, spend
from budgets.tests.reader import until_all_is_final

# On PostgreSQL the feed tells what is committed, and never what its own transaction wrote.
pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def program() -> Program:
    return make_program()


@pytest.fixture
def campaign() -> Campaign:
    return decided(make_campaign(make_brand(name="Acme", daily_budget=10), name="Search"))


class TestChanges:
    def test_are_told_once_and_in_order_from_cursor_to_cursor(
        self, program: Program, campaign: Campaign
    ) -> None:
        spend(campaign, 10)
        until_all_is_final()

        first = program.ask("GET", "/changes?limit=1").json
        second = program.ask("GET", f"/changes?limit=1&after={first['next_cursor']}").json
        third = program.ask("GET", f"/changes?after={second['next_cursor']}").json

        assert [first["has_more"], second["has_more"], third["has_more"]] == [True, False, False]
        [begun], [paused], none = first["data"], second["data"], third["data"]
        assert (begun["old_hold"], begun["hold"]) == ("undecided", "")
        assert (paused["campaign"], paused["brand"]) == (campaign.pk, campaign.brand_id)
        assert (paused["was_active"], paused["is_active"]) == (True, False)
        assert (paused["hold"], paused["cause"]) == ("brand_daily_budget", "spend")
        assert paused["figures"]["spent"] == "10.00"
        assert none == []

    def test_from_now_on_leave_out_what_was(self, program: Program, campaign: Campaign) -> None:
        until_all_is_final()
        start = program.ask("GET", "/changes?after=now").json
        spend(campaign, 10)
        until_all_is_final()

        told = program.ask("GET", f"/changes?after={start['next_cursor']}").json

        assert start["data"] == []
        assert [change["hold"] for change in told["data"]] == ["brand_daily_budget"]

    def test_of_other_brands_are_not_told(self, campaign: Campaign) -> None:
        stranger = make_program(brands=[make_brand()])
        until_all_is_final()

        assert stranger.ask("GET", "/changes").json["data"] == []

    @pytest.mark.parametrize(
        ("query", "wrong"),
        [
            ("after=x", {"after": "invalid_cursor"}),
            ("limit=0", {"limit": "greater_than_equal"}),
            ("limit=501", {"limit": "less_than_equal"}),
            ("before=x", {"before": "unknown_parameter"}),
        ],
    )
    def test_need_a_cursor_of_ours(
        self, program: Program, query: str, wrong: dict[str, str]
    ) -> None:
        assert program.ask("GET", f"/changes?{query}").wrong() == wrong

    def test_behind_the_end_of_the_log_ask_to_begin_anew(self, program: Program) -> None:
        ahead = "AAF_____________________"  # the right form, and a place that no log reaches

        answer = program.ask("GET", f"/changes?after={ahead}")

        assert answer.status in {410, 422}
        assert answer.json["code"] in {"cursor_ahead", "invalid"}


class TestServing:
    def test_names_who_may_run_and_says_when_nothing_changed(
        self, program: Program, campaign: Campaign
    ) -> None:
        until_all_is_final()
        first = program.ask("GET", "/serving")
        tag = first.headers["ETag"]

        same = program.ask("GET", "/serving", **{"If-None-Match": tag})
        spend(campaign, 10)
        other = program.ask("GET", "/serving", **{"If-None-Match": tag})

        assert first.json == {"campaigns": [campaign.pk]}
        assert (same.status, same.content) == (304, b"")
        assert same.headers["ETag"] == tag
        assert (
            same.headers["Cache-Control"] == first.headers["Cache-Control"] == "private, no-cache"
        )
        assert (other.status, other.json) == (200, {"campaigns": []})
        assert other.headers["ETag"] != tag

    def test_shows_a_key_its_own_brands(self, campaign: Campaign) -> None:
        mine = decided(make_campaign())
        owner = make_program(brands=[mine.brand])

        assert owner.ask("GET", "/serving").json == {"campaigns": [mine.pk]}


class TestExplanation:
    def test_of_a_campaign_that_runs_says_what_is_left(
        self, program: Program, campaign: Campaign
    ) -> None:
        spend(campaign, 4)

        told = program.ask("GET", f"/campaigns/{campaign.pk}/explain").json

        assert (told["is_active"], told["hold"], told["reasons"]) == (True, "", [])
        [limit] = told["limits"]
        assert (limit["spent"], limit["budget"], limit["left"]) == ("4.00", "10.00", "6.00")
        assert told["runs_again_at"] is None

    def test_of_one_that_is_held_says_what_would_help_and_when(self, program: Program) -> None:
        brand = make_brand(daily_budget=10, timezone="Europe/Berlin")
        campaign = decided(make_campaign(brand, allowed_start_hour=8))
        spend(campaign, 12)

        told = program.ask("GET", f"/campaigns/{campaign.pk}/explain").json

        [reason] = told["reasons"]
        assert reason["hold"] == told["hold"] == "brand_daily_budget"
        assert (reason["spent"], reason["budget"]) == ("12.00", "10.00")
        assert (reason["left"], reason["budget_needed"]) == ("0.00", "12.000001")
        assert told["runs_again_at"] == {
            "utc": "2026-11-25T07:00:00Z",
            "local": "2026-11-25T08:00:00+01:00",
        }

    def test_of_a_past_moment_comes_from_the_log(
        self, program: Program, campaign: Campaign
    ) -> None:
        with time_machine.travel(NOW + timedelta(hours=1), tick=False):
            spend(campaign, 10, now=NOW + timedelta(hours=1))
            path = f"/campaigns/{campaign.pk}/explain?at="

            before = program.ask("GET", f"{path}2026-11-24T15:30:00Z").json
            after = program.ask("GET", f"{path}2026-11-24T16:00:00Z").json

        assert (before["is_active"], before["hold"]) == (True, "")
        assert (after["is_active"], after["hold"]) == (False, "brand_daily_budget")
        assert (after["spent"], after["budget"], after["cause"]) == ("10.00", "10.00", "spend")

    def test_before_the_log_begins_nobody_knows(self, program: Program, campaign: Campaign) -> None:
        answer = program.ask("GET", f"/campaigns/{campaign.pk}/explain?at=2020-01-01T00:00:00Z")

        answer.problem(404, "unknown_past")

    @pytest.mark.parametrize(
        ("at", "code"),
        [
            ("2026-11-24T15:00:00", "no_offset"),
            ("2026-12-24T15:00:00Z", "in_the_future"),
            ("0001-01-01T00:00:00%2B23:00", "invalid"),
        ],
    )
    def test_needs_an_instant_that_can_be_meant(
        self, program: Program, campaign: Campaign, at: str, code: str
    ) -> None:
        answer = program.ask("GET", f"/campaigns/{campaign.pk}/explain?at={at}")

        assert answer.wrong() == {"at": code}

    def test_knows_offsets_that_postgresql_does_not(
        self, program: Program, campaign: Campaign
    ) -> None:
        at = "0261-07-20T17:59:47-19:03"

        answer = program.ask("GET", f"/campaigns/{campaign.pk}/explain?at={at}")

        answer.problem(404, "unknown_past")
