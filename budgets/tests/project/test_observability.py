"""What `deploy/` watches exists, and `docs/on-call.md` has an answer to all that can be red."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families as parse

from budgets.health import checks, exposition
from budgets.services import passes
from budgets.services.access import NOTHING
from budgets.tests.builders import NOW, make_campaign

DEPLOY = Path(settings.BASE_DIR, "deploy")
RULES = DEPLOY / "prometheus/budget-guardian.rules.yml"
TRIALS = DEPLOY / "prometheus/budget-guardian.test.yml"
DASHBOARD = DEPLOY / "grafana/budget-guardian.json"
ON_CALL = Path(settings.BASE_DIR, "docs/on-call.md").read_text(encoding="utf-8")
HEADINGS = set(re.findall(r"^#+ (.*)$", ON_CALL, re.MULTILINE))

DURATION = re.compile(r"\d+(ms|s|m|h)")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel["targets"])
    for variable in dashboard()["templating"]["list"]:
        yield variable["query"]


@pytest.fixture
def offered(db: None) -> dict[str, set[str]]:
    """Return the names of all series that there are once all has run, and the labels of each."""
    make_campaign()
    passes.check_and_pause(NOW, lambda: 1)
    passes.reset(NOW, lambda: 1)
    found: dict[str, set[str]] = {}
    for family in parse(exposition.write(NOW, moment=0).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_that_is_watched_exists(offered: dict[str, set[str]]) -> None:
    watched = {name for text in expressions() for name in re.findall(r"budget_guardian_\w+", text)}

    assert len(watched) > 10
    assert watched <= offered.keys()


def test_every_metric_is_shown(offered: dict[str, set[str]]) -> None:
    shown = " ".join(expressions())

    def stem(name: str) -> str:
        return re.sub(r"_(bucket|count|sum)$", "", name)

    assert {name for name in offered if stem(name) not in shown} == set()


def test_every_label_that_is_used_exists(offered: dict[str, set[str]]) -> None:
    given = {"instance"}.union(*offered.values())

    for text in expressions():
        for names in re.findall(r"\bby \(([\w, ]+)\)", text):
            assert set(names.split(", ")) <= given, text
        for names in re.findall(r"(\w+)(?:=~|!=|=)\"", text):
            assert names in given, text
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= given


def test_no_label_is_one_that_prometheus_gives_itself(offered: dict[str, set[str]]) -> None:
    # It would store ours as exported_job, and everything here would speak of its own.
    assert not {"job", "instance"} & set[str]().union(*offered.values())


def promtool(*arguments: str | Path) -> None:
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.promtool
def test_alerts_tell_trouble_from_a_quiet_hour() -> None:
    promtool("test", "rules", TRIALS)


def test_every_alert_is_tried() -> None:
    tried = set(re.findall(r"BudgetGuardian\w+", TRIALS.read_text(encoding="utf-8")))

    assert tried == {rule["alert"] for rule in rules()}


@pytest.mark.promtool
def test_prometheus_understands_what_the_dashboard_asks(tmp_path: Path) -> None:
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    questions = [
        {"record": f"asked:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(asked)
    ]
    file = tmp_path / "questions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": questions}]}))

    promtool("check", "rules", file)


@pytest.mark.parametrize("text", list(expressions()))
def test_brackets_and_quotes_are_closed(text: str) -> None:
    opened: list[str] = []
    closing = {")": "(", "]": "[", "}": "{"}
    for character in re.sub(r'"[^"]*"', "", text):
        if character in closing.values():
            opened.append(character)
        elif character in closing:
            assert opened.pop() == closing[character], text
    assert not opened, text
    assert text.count('"') % 2 == 0, text


def test_every_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 5

    for rule in rules():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert DURATION.fullmatch(rule.get("for", "0s")), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        heading = rule["annotations"]["runbook"].removeprefix("docs/on-call.md: ")
        # That of health names whichever line is red; that each has a heading is shown below.
        assert heading in HEADINGS | {"{{ $labels.check }}"}, rule["alert"]


def test_the_example_of_a_scrape_asks_the_page_and_takes_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))

    [job] = config["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["authorization"]["type"] == "Bearer"
    assert config["rule_files"] == [RULES.name]


def test_no_two_panels_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.django_db
def test_on_call_has_an_answer_to_every_line_of_health() -> None:
    passes.check_and_pause(NOW)

    keys = {check.key for check in checks.examine(NOW, sight=NOTHING, ask_workers=False).checks}

    assert len(keys) > 8
    assert keys - HEADINGS == set()


def test_each_answer_says_what_it_means_what_works_what_to_do_and_when_it_is_over() -> None:
    answers = dict(re.findall(r"^### ([a-z_]+)\n(.*?)(?=^#|\Z)", ON_CALL, re.MULTILINE | re.DOTALL))

    assert len(answers) > 8
    for key, answer in answers.items():
        for part in ("**Means.**", "**Still works.**", "**Do.**", "**Over when.**"):
            assert part in answer, (key, part)
