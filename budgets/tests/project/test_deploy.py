"""What `deploy/` says of a deployment agrees with itself, and with what the faults demand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from budgets.tests.children import ON_LINUX, environment
from budgets.tests.e2e.test_up import free_port
from budgets.tests.waiting import until

DEPLOY = Path(settings.BASE_DIR, "deploy")
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
OURS = ("migrate", "web", "worker", "beat")


def unit(name: str) -> dict[str, str]:
    """Return the settings of a unit file; of one given twice, the last."""
    text = (DEPLOY / f"systemd/budget-guardian-{name}.service").read_text()
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def instruction(name: str) -> list[str]:
    """Return the last exec form of a Dockerfile's instruction."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return list(json.loads(re.findall(rf"^{name}\b[^\[]*(\[.*\])$", text, re.MULTILINE)[-1]))


def test_one_beat_and_a_broker_that_drops_nothing() -> None:
    beats = [name for name, service in SERVICES.items() if "beat" in service.get("command", ())]
    redis = SERVICES["redis"]["command"]

    assert beats == ["beat"]
    assert SERVICES["beat"]["deploy"]["replicas"] == 1
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"
    assert redis[redis.index("--appendonly") + 1] == "yes"
    assert "ports" not in SERVICES["redis"]
    assert "ports" not in SERVICES["postgresql"]


@pytest.mark.parametrize("name", OURS)
def test_nothing_of_ours_writes_or_may_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["stop_grace_period"] == "60s"
    assert set(service["secrets"]) == {"database_url", "redis_url", "secret_key"}


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_the_database_is_migrated_first(name: str) -> None:
    wanted = SERVICES[name]["depends_on"]["migrate"]["condition"]

    assert wanted == "service_completed_successfully"


def test_containers_are_given_every_variable_but_those_that_the_image_decides() -> None:
    readme = Path(settings.BASE_DIR, "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Configuration")[2].partition("## In production")[0]
    rows = re.findall(r"^\| (`[A-Z].*?) \|", table, re.MULTILINE)
    variables = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    decided = {"DJANGO_ENV", "LOG_FORMAT", "HOST", "PORT", "DEMO", "DEBUG"}
    without_a_disk = {"BUDGETS_DATA_DIR", "STATIC_ROOT"}

    for name in OURS:
        given = {key.removesuffix("_FILE") for key in SERVICES[name]["environment"]}
        assert given == variables - decided - without_a_disk


def test_one_service_builds_the_image_and_nobody_asks_a_registry_for_it() -> None:
    assert [name for name in OURS if "build" in SERVICES[name]] == ["migrate"]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


def test_units_and_containers_run_the_same_programs() -> None:
    def words(name: str) -> list[str]:
        return unit(name)["ExecStart"].replace("/opt/budget-guardian/.venv/bin/", "").split()

    assert words("beat") == SERVICES["beat"]["command"]
    assert words("worker@")[:-2] == SERVICES["worker"]["command"]
    assert words("migrate") == SERVICES["migrate"]["command"]
    assert words("web") == instruction("CMD")[: len(words("web"))]
    assert all(unit(name)["TimeoutStopSec"] == "60" for name in ("web", "worker@", "beat"))


@ON_LINUX
def test_the_images_own_check_finds_a_web_that_answers(tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path, ALLOWED_HOSTS="budgets.example.com,other.example", PORT=str(port))
    check, serve = instruction("HEALTHCHECK"), instruction("CMD")

    def is_well() -> bool:
        return subprocess.run([sys.executable, *check[1:]], env=env, check=False).returncode == 0

    assert not is_well()
    with subprocess.Popen([sys.executable, "-m", *serve], env=env) as web:
        try:
            until(is_well)
        finally:
            # Or it would be waited for, for ever, where the check never finds it.
            web.terminate()
