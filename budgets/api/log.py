"""`GET /changes`, `/serving` and `/campaigns/{id}/explain`: what happened, who may run, and why not."""

# No `from __future__ import annotations`: django-ninja reads the types of decorated functions.
from ninja import Router

router = Router()
