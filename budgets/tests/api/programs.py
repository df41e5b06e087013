"""What the tests of the api speak with: a program with a key, the answers it gets, the api's map."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection
from django.test import Client

from budgets.api.v1 import api
from budgets.models import ApiKey, Brand, Campaign, WebhookDelivery
from budgets.models.api_key import Scope
from budgets.services import deliveries, keys, webhooks
from budgets.services.outbound import Reply
from budgets.tests.builders import NOW, make_webhook

ROOT = "/api/v1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """What was said."""
        return json.loads(self.content)

    @property
    def lines(self) -> list[Any]:
        """What a stream said."""
        return [json.loads(line) for line in self.content.splitlines()]

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """Return the problem that this is, of this status and code."""
        assert self.status == status, self.content
        assert self.headers["Content-Type"] == "application/problem+json"
        found: dict[str, Any] = self.json
        assert found["code"] == code
        assert found["status"] == status
        assert found["type"] == "about:blank"
        assert found["title"]
        assert found["detail"]
        return found

    def wrong(self) -> dict[str, str]:
        """Return which fields were refused with 422, and the code of each."""
        return {one["field"]: one["code"] for one in self.problem(422, "invalid")["errors"]}


@dataclass
class Program:
    """A program and its key."""

    key: ApiKey | None
    secret: str
    client: Client

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        **headers: str,
    ) -> Answer:
        """Send a request; `body` is sent as it is when it is bytes, else as JSON."""
        data = b"" if body is None else body
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        if self.secret:
            headers = {"Authorization": f"Bearer {self.secret}", **headers}
        response = self.client.generic(
            method,
            f"{ROOT}{path}",
            data,
            headers=headers,
            CONTENT_TYPE=content_type,  # also of an empty body
        )
        content = response.getvalue()
        return Answer(response.status_code, content, dict(response.headers))

    def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """Do something."""
        return self.ask("POST", path, body, **headers)

    def patch(self, path: str, body: object, **headers: str) -> Answer:
        """Change something."""
        return self.ask("PATCH", path, body, **headers)

    def spend(self, *events: object, source: object = "test") -> Answer:
        """Report events."""
        return self.post("/spend", {"source": source, "events": list(events)})

    def stream(self, body: bytes, query: str = "source=test", **headers: str) -> Answer:
        """Report a stream of events."""
        return self.ask(
            "POST", f"/spend?{query}", body, content_type="application/x-ndjson", **headers
        )


def make_program(
    *, scopes: Iterable[str] = Scope.values, brands: Iterable[Brand] = (), client: Any = None
) -> Program:
    """Return a program with a key: for everything and all brands, if nothing else is said."""
    key, secret = keys.create(f"Program {next(_numbers)}", scopes, brands, now=NOW)
    return Program(key, secret, client or make_client())


def stranger(secret: str = "") -> Program:
    """Return a program that shows this secret, or none."""
    return Program(None, secret, make_client())


@cache
def make_client() -> Client:
    """Return a client to whom an error of ours is a 500, as it is to people.

    One for all: it keeps no cookies here, and the first request of each reads all static files.
    """
    return Client(raise_request_exception=False)


def event(campaign: object, amount: object = "1", **fields: object) -> dict[str, object]:
    """Return an event as it is sent, with an id of its own, of today."""
    return {
        "id": f"e{next(_numbers)}",
        "campaign": campaign,
        "amount": amount,
        "date": NOW.date().isoformat(),
        **fields,
    }


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table, but for the note when a key was used."""
    found = {}
    with connection.cursor() as cursor:
        for table, question in _questions().items():
            cursor.execute(question)
            found[table] = cursor.fetchall()
    return found


@cache
def _questions() -> dict[str, str]:
    asked = {}
    for model in apps.get_models(include_auto_created=True):
        fields = model._meta.concrete_fields
        columns = [str(it.column) for it in fields if (model, it.name) != (ApiKey, "last_used_at")]
        names = ", ".join(map(connection.ops.quote_name, columns))
        table = connection.ops.quote_name(model._meta.db_table)
        asked[table] = f"SELECT {names} FROM {table} ORDER BY {model._meta.pk.column}"  # noqa: S608  # names of ours
    return asked


@dataclass(frozen=True)
class Operation:
    """What can be asked of the api, as its own description says."""

    method: str
    path: str
    scope: str
    said: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def done(self) -> int:
        """The status of its answer when all is well."""
        [status] = [int(it) for it in self.said["responses"] if it.startswith("2")]
        return status

    def of(self, campaign: Campaign) -> tuple[Any, ...]:
        """Return method, path and a sound body, about this campaign and what there is around it."""
        return self._about(ids_of(campaign))

    def of_nothing(self, pk: int) -> tuple[Any, ...]:
        """Return the same, about whatever has this id: nothing, if the test chose it well."""
        return self._about(dict.fromkeys(IDS, pk))

    def _about(self, ids: Mapping[str, int]) -> tuple[Any, ...]:
        body = sound_body(self, ids) if "requestBody" in self.said else None
        return self.method, self.path.format(**ids), body


IDS = ("brand_id", "campaign_id", "webhook_id", "delivery_id")
"""What stands in the paths."""


def ids_of(campaign: Campaign) -> dict[str, int]:
    """Return what the paths about this campaign, its brand and its `tell` are filled with."""
    ids = {"brand_id": campaign.brand_id, "campaign_id": campaign.pk}
    sent = WebhookDelivery.objects.filter(endpoint__brands=campaign.brand_id).order_by("pk").first()
    if sent is not None:
        ids |= {"webhook_id": sent.endpoint_id, "delivery_id": sent.pk}
    return ids


def tell(campaign: Campaign) -> Campaign:
    """Have an endpoint hear of the campaign's brand alone; what it was sent, a test, has failed."""
    endpoint, _ = make_webhook(brands=[campaign.brand])
    webhooks.test(endpoint, now=NOW)
    deliveries.deliver(NOW, send=lambda _url, _headers, _body: Reply(500))
    return campaign


def sound_body(operation: Operation, ids: Mapping[str, int]) -> object:
    """Return a body that this operation takes, and that changes something."""
    campaign = ids["campaign_id"]
    row = {"campaign": campaign, "date": NOW.date().isoformat(), "spend_to_date": "5"}
    bodies: dict[str, object] = {
        "POST /spend": {"source": "s", "events": [event(campaign, "5")]},
        "POST /spend/to-date": {"source": "s", "rows": [row]},
        "PATCH /brands/{brand_id}": {"name": "Renamed"},
        "PATCH /campaigns/{campaign_id}": {"name": "Renamed"},
        # A key for some brands must name those to hear of.
        "POST /webhooks": {"url": "https://93.184.215.14/new", "brands": [ids["brand_id"]]},
        "PATCH /webhooks/{webhook_id}": {"description": "Renamed"},
    }
    return bodies[str(operation)]


def operations() -> list[Operation]:
    """Return everything that the api's description tells of."""
    document = json.loads(json.dumps(api.get_openapi_schema(path_prefix="")))
    found = []
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            [scope] = said["security"][0]["Bearer"]
            found.append(Operation(method.upper(), path, scope, said))
    assert found
    return found
