"""`/metrics`: who may read it, what it says of a known world, and what it costs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families as parse
from pytest_django import Settings

from budgets.health import exposition
from budgets.models import Brand, Campaign, PassRecord
from budgets.services import passes, webhooks
from budgets.services.reconciliation import INVARIANTS
from budgets.tests.builders import (
    decided,
    make_brand,
    make_campaign,
    make_key,
    make_webhook,
    write_spend,
)
from budgets.tests.children import environment, python
from budgets.tests.health.conftest import NOW
from budgets.tests.statements import statements

if TYPE_CHECKING:
    from pathlib import Path

    from django.test.client import _MonkeyPatchedWSGIResponse as Response

TOKEN = "scrape-token-0123456789"
MINUTE = timedelta(minutes=1)

Labels = frozenset[tuple[str, str]]


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def get(client: Client, moment: datetime = NOW, authorization: str = f"Bearer {TOKEN}") -> Response:
    headers = {"authorization": authorization} if authorization else {}
    with time_machine.travel(moment, tick=False):
        return client.get("/metrics", headers=headers)


def read(client: Client, moment: datetime = NOW) -> dict[str, dict[Labels, float]]:
    """Return the samples that Prometheus's own parser finds, by name and labels."""
    response = get(client, moment)
    assert response.status_code == 200
    found: dict[str, dict[Labels, float]] = {}
    for family in parse(response.text):
        assert family.documentation, family.name
        assert family.type in {"gauge", "counter", "histogram"}, family.name
        for sample in family.samples:
            series = found.setdefault(sample.name.removeprefix("budget_guardian_"), {})
            labels = frozenset(sample.labels.items())
            assert labels not in series, sample
            series[labels] = sample.value
    return found


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


class TestWhoMayRead:
    def test_there_is_no_such_page_without_a_token(
        self, client: Client, settings: Settings
    ) -> None:
        settings.METRICS_TOKEN = ""

        assert get(client).status_code == 404
        assert get(client, authorization="Bearer ").status_code == 404

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong-token-0123456789",
            f"Bearer {TOKEN[:-1]}",
            f"Bearer {TOKEN}x",
            f"Bearer  {TOKEN}",
            f"Basic {TOKEN}",
            TOKEN,
            "Bearer tök€n",
        ],
    )
    def test_who_does_not_show_it_is_refused(self, client: Client, authorization: str) -> None:
        response = get(client, authorization=authorization)

        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="metrics"'
        assert TOKEN not in response.text

    def test_a_token_that_can_be_guessed_is_refused_at_start(self, tmp_path: Path) -> None:
        ended = python(
            "from django.conf import settings; settings.METRICS_TOKEN",
            env=environment(tmp_path, METRICS_TOKEN="prometheus"),
        )

        assert ended.returncode == 1
        assert "METRICS_TOKEN must have at least 20" in ended.stderr

    @pytest.mark.usefixtures("all_is_well")
    def test_it_is_not_kept_and_only_read(self, client: Client) -> None:
        response = get(client)

        assert response["Cache-Control"] == "no-store"
        assert response["Content-Type"].startswith("text/plain; version=0.0.4")
        assert client.post("/metrics").status_code == 405


@pytest.mark.usefixtures("all_is_well")
class TestWhatItSays:
    def test_all_is_well(self, client: Client) -> None:
        found = read(client, NOW + MINUTE)

        assert found["healthy"] == {of(): 1}
        assert set(found["health_check_level"].values()) == {0}
        assert found["pass_age_seconds"] == {
            of(task="check_and_pause_campaigns"): 60,
            of(task="reset_daily_monthly_spend"): 60,
        }
        assert set(found["pass_patience_seconds"].values()) == {180}
        assert found["full_check_age_seconds"] == {of(): 60}
        assert found["invariant_violations"] == {of(invariant=code): 0 for code in INVARIANTS}
        for name in (
            "due_brands",
            "uncounted_rows",
            "webhook_pending_deliveries",
            "webhook_overdue_deliveries",
            "status_changes_total",
        ):
            assert found[name] == {of(): 0}, name

    def test_passes_that_stand_still(self, client: Client) -> None:
        found = read(client, NOW + 4 * MINUTE)

        assert found["healthy"] == {of(): 0}
        assert found["health_check_level"][of(check="passes")] == 2
        assert found["health_check_level"][of(check="database")] == 0

    def test_what_the_last_pass_did_and_how_long_it_took(self, client: Client) -> None:
        make_campaign(make_brand(daily_budget=0))
        make_campaign()
        passes.check_and_pause(NOW, lambda: 1250)

        found = read(client)

        task = {"task": "check_and_pause_campaigns"}
        assert found["pass_duration_seconds"] == {of(**task): 1.25}
        assert found["pass_brands"][of(**task)] == 2
        assert found["pass_moved_campaigns"][of(**task, event="resumed")] == 1
        assert found["pass_moved_campaigns"][of(**task, event="paused")] == 0

    def test_campaigns_by_what_holds_them(self, client: Client) -> None:
        brand = make_brand(daily_budget=0)
        make_campaign(brand), make_campaign(brand), make_campaign()
        passes.check_and_pause(NOW)

        found = read(client)["campaigns"]

        assert found[of(hold="brand_daily_budget")] == 2
        assert found[of(hold="active")] == 1
        assert sum(found.values()) == 3

    def test_brands_that_wait_for_a_pass(self, client: Client) -> None:
        make_brand(), make_brand()

        assert read(client)["due_brands"] == {of(): 2}

    def test_changes_by_cause_and_event(self, client: Client) -> None:
        campaign = make_campaign(make_brand(daily_budget=10))
        passes.check_and_pause(NOW - 10 * MINUTE)
        Campaign.objects.filter(pk=campaign.pk).update(is_enabled=False)
        passes.check_and_pause(NOW)

        found = read(client)

        recent = {key: value for key, value in found["recent_status_changes"].items() if value}
        assert recent == {of(cause="operator", event="paused"): 1}
        [(_, newest)] = found["status_changes_total"].items()
        assert newest >= 2

    def test_uncounted_rows_and_for_how_long(self, client: Client) -> None:
        campaign = make_campaign()
        passes.check_and_pause(NOW)
        row = write_spend(campaign, 1, NOW.date())
        row.refresh_from_db()

        found = read(client, row.created_at + MINUTE)

        assert found["uncounted_rows"] == {of(): 1}
        assert found["uncounted_oldest_seconds"] == {of(): pytest.approx(60, abs=0.1)}

    def test_violations_of_the_last_full_check(self, client: Client) -> None:
        campaign = make_campaign()
        passes.check_and_pause(NOW)
        Campaign.objects.filter(pk=campaign.pk).write(total_daily_spend=1)
        passes.full_check(NOW)

        found = read(client)

        assert found["invariant_violations"][of(invariant="campaign_totals")] == 1
        assert found["invariant_violations"][of(invariant="brand_totals")] == 1
        assert found["invariant_violations"][of(invariant="log_broken")] == 0

    def test_every_finding_of_a_full_check_is_told(self, client: Client) -> None:
        PassRecord.objects.filter(name=passes.FULL_CHECK).update(
            counts=dict.fromkeys(INVARIANTS, 3)
        )

        assert set(read(client)["invariant_violations"].values()) == {3}

    def test_the_backlog_of_webhooks(self, client: Client) -> None:
        endpoint, _ = make_webhook(now=NOW)
        webhooks.test(endpoint, now=NOW - 20 * MINUTE)
        webhooks.test(endpoint, now=NOW)

        found = read(client)

        assert found["webhook_pending_deliveries"] == {of(): 2}
        assert found["webhook_overdue_deliveries"] == {of(): 1}
        assert found["webhook_overdue_oldest_seconds"] == {of(): 20 * 60}

    def test_what_the_api_answered_and_how_fast_it_paused(self, client: Client) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=10)), NOW)
        key = make_key(scopes=["spend:write"])
        before = read(client)
        event = {"id": "1", "campaign": campaign.pk, "amount": "10", "date": str(NOW.date())}
        events = [event, event, {**event, "amount": "11"}, {**event, "id": "2", "campaign": 0}]

        with time_machine.travel(NOW, tick=False):
            answer = client.post(
                "/api/v1/spend",
                {"source": "ads", "events": events},
                content_type="application/json",
                headers={"authorization": f"Bearer {key}"},
            )
        assert answer.status_code == 200, answer.text

        after = read(client)
        counted = after["spend_events_total"]
        more = {
            outcome: counted[outcome] - before["spend_events_total"][outcome] for outcome in counted
        }
        assert more == {
            of(outcome=outcome): 1 for outcome in ("recorded", "duplicate", "conflict", "rejected")
        }
        paused = after["spend_pause_seconds_count"][of()]
        assert paused - before["spend_pause_seconds_count"][of()] == 1
        assert after["spend_pause_seconds_bucket"][of(le="+Inf")] == paused

    def test_names_follow_the_conventions(self, client: Client) -> None:
        found = {family.name: family for family in parse(get(client).text)}

        assert found
        for name, family in found.items():
            assert name.startswith("budget_guardian_"), name
            assert not name.endswith(("_total", "_count", "_ms", "_minutes")), name
            for sample in family.samples:
                assert sample.name.endswith("_total") == (family.type == "counter"), sample.name

    def test_nothing_in_it_is_secret_or_a_name(self, client: Client) -> None:
        _, secret = make_webhook(now=NOW, url="https://93.184.215.14/hook-of-acme")
        make_campaign(make_brand(name="Acme Secret Launch", trouble="it failed"))
        Brand.objects.write(trouble="Acme failed")

        text = get(client, NOW + 4 * MINUTE).text

        for word in (TOKEN, secret, "Acme", "acme", "93.184"):
            assert word not in text

    def test_a_database_that_refuses_is_said_and_no_more(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE budgets_statuschange RENAME TO elsewhere")

        found = read(client)

        assert "healthy" in found
        assert "due_brands" not in found


class TestCost:
    @pytest.mark.usefixtures("all_is_well")
    def test_it_asks_twelve_questions_whatever_there_is(self) -> None:
        few = len(statements(lambda: exposition.write(NOW, moment=0)))

        endpoint, _ = make_webhook(now=NOW)
        campaigns = [make_campaign(make_brand(daily_budget=number)) for number in range(5)]
        passes.check_and_pause(NOW)
        for campaign in campaigns:
            write_spend(campaign, 1, NOW.date())
            webhooks.test(endpoint, now=NOW)
        many = len(statements(lambda: exposition.write(NOW, moment=0)))

        assert few == many <= 12

    @pytest.mark.usefixtures("all_is_well")
    def test_trouble_asks_one_more(self) -> None:
        endpoint, _ = make_webhook(now=NOW)
        webhooks.test(endpoint, now=NOW - 20 * MINUTE)
        write_spend(decided(make_campaign(make_brand()), NOW), 1, NOW.date())
        Brand.objects.write(trouble="it failed")

        assert len(statements(lambda: exposition.write(NOW, moment=0))) <= 13


def test_a_database_that_is_down_is_said(
    client: Client, running_broker: None, broken_database: None
) -> None:
    found = read(client)

    assert found["healthy"] == {of(): 0}
    assert found["health_check_level"] == {of(check="database"): 2, of(check="broker"): 0}
    assert "spend_events_total" in found


def test_processes_that_share_a_directory_are_added_up(tmp_path: Path) -> None:
    env = environment(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    work = (
        "import django; django.setup()\n"
        "from budgets.services import meters\n"
        "meters.count({'recorded': 3, 'rejected': 0}); meters.PAUSE_SECONDS.observe(0.2)\n"
    )
    show = (
        "import json\n"
        'found = {f\'{s.name} {s.labels.get("outcome", "")}\': s.value'
        " for family in meters.collected() for s in family.samples}\n"
        "print(json.dumps(found))"
    )

    python(work, env=env)
    ended = python(work + show, env=env)

    found = json.loads(ended.stdout)
    assert found["budget_guardian_spend_events_total recorded"] == 6
    assert found["budget_guardian_spend_events_total conflict"] == 0
    assert found["budget_guardian_spend_pause_seconds_count "] == 2
