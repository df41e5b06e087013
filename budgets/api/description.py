"""What `/openapi.json` says beyond the types of the routers' functions: what is common to all of them."""

from __future__ import annotations

from typing import Any

from ninja import NinjaAPI, Swagger
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from budgets.api import problems
from budgets.api.schemas import ProblemOut

PROBLEMS = {
    400: "The body is not JSON that can be meant, or a header is wrong.",
    401: "There is no valid key.",
    403: "The key lacks the scope.",
    404: "There is no such object, or this key may not see it.",
    409: "Somebody else changed it at this moment. Read it and try again.",
    411: "This server takes a stream only with its Content-Length.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    422: "Fields or parameters are wrong: `errors` names them. Or a used Idempotency-Key came again.",
    429: "Too many requests with this key. `Retry-After` says in how many seconds to come again.",
    503: "The database does not answer. Send the same request again.",
}
OF_EVERY_ANSWER = {400, 401, 403, 422, 429, 503}
OF_AN_OBJECT = {404}
OF_A_CHANGE = {409, 413, 415}

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "Any text of yours, new for each request. For 24 hours the same request with it "
    "is answered with the first answer, marked `Idempotent-Replayed`, and does nothing again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true`: this is the answer that was given before.",
        "schema": {"type": "string"},
    }
}


class Description(OpenAPISchema):
    """The document."""

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        """Return an operation with its scope, its problems, and the header of every POST."""
        details: dict[str, Any] = super().operation_details(operation)
        wanted = OF_EVERY_ANSWER | (OF_AN_OBJECT if "{" in operation.path else set())
        if "GET" not in operation.methods:
            wanted |= OF_A_CHANGE
        details["responses"] |= {status: problem(status) for status in sorted(wanted)}
        if "POST" in operation.methods:
            details["parameters"].append(IDEMPOTENCY_KEY)
            [done] = [it for status, it in details["responses"].items() if 200 <= status < 300]
            done["headers"] = REPLAYED
        return details

    def operation_security(self, operation: Operation) -> list[Any] | None:
        """Return which scope the key must have."""
        found: list[dict[str, list[str]]] | None = super().operation_security(operation)
        return found and [
            {name: [operation.view_func.scope] for name in one}  # type: ignore[attr-defined]  # by `requires`
            for one in found
        ]

    def get_components(self) -> dict[str, Any]:
        """Return the types, with that of problems."""
        schema = ProblemOut.model_json_schema(ref_template=REF_TEMPLATE)
        self.add_schema_definitions({**schema.pop("$defs", {}), "ProblemOut": schema})
        components: dict[str, Any] = super().get_components()
        return components


class Docs(Swagger):
    """The page that shows it and lets one try it, light or dark."""

    template = "api/docs.html"


class DescribedAPI(NinjaAPI):
    """The api with this description."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the document."""
        if path_prefix is None:
            path_prefix = self.get_root_path(path_params or {})
        return Description(self, path_prefix)

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Name operations as the functions are named, for those who generate clients."""
        return operation.view_func.__name__


def problem(status: int) -> dict[str, Any]:
    """Return what is said of a problem of this status."""
    return {
        "description": PROBLEMS[status],
        "content": {
            problems.CONTENT_TYPE: {"schema": {"$ref": REF_TEMPLATE.format(model="ProblemOut")}}
        },
    }
