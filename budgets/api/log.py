"""`GET /changes`, `/serving` and `/campaigns/{id}/explain`: what happened, who may run, and why not."""

from __future__ import annotations

from ninja import Router

router = Router()
