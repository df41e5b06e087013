"""The flow: read this first.

1. A door (`admin`, `dashboard`, `management`, `tasks`, `health`) reads the clock and makes one call.
2. `services.ingestion` writes spend to the ledger, exactly once, under the lock of its brands.
3. `services.rollover` turns the totals to the brand's local day; `services.totals` adds what is new.
4. `core.decision.decide` says which holds apply to a campaign: the only statement of the rules.
5. `services.enforcement` writes what differs, one log row (`StatusChange`) for each change, and with
   it what webhooks are to be told (`services.outbox`, which `services.deliveries` sends).
6. `Brand.due_at` says when time alone could change the answer; `services.enforcement.drain` asks then.
7. `services.editing` does the same for what people change; `queries` answer the screens.
"""
