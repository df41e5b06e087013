"""The api, version 1: its routers, and what is common to all of them."""

from __future__ import annotations

from budgets.api import log, objects, problems, spend, webhooks
from budgets.api.auth import Bearer
from budgets.api.bodies import ExactParser
from budgets.api.description import DescribedAPI, Docs

api = DescribedAPI(
    title="Ad-budget guardian",
    version="1",
    description=(
        "Record spend, be told at once who must stop, read and edit budgets.\n\n"
        "Send `Authorization: Bearer bg_…`. Errors are problem details (RFC 9457) with a stable "
        "`code`. Every POST honours `Idempotency-Key`, but for streams, whose ids do the same. "
        "Amounts are strings in the brand's currency."
    ),
    auth=Bearer(),
    parser=ExactParser(),
    urls_namespace="api-v1",
    docs=Docs(),
    docs_url="/docs",
    openapi_url="/openapi.json",
)
problems.install(api)
for router in (spend.router, objects.router, log.router, webhooks.router):
    api.add_router("", router)
