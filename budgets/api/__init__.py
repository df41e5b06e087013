"""The door for programs: `/api/v1/`.

A request passes, in this order: its key (`auth`), the key's rate (`limits`), its Idempotency-Key
(`idempotency`), one router function, which reads the clock and makes one call, and on every error
`problems`. What is sent and answered is described by `schemas`.
"""
