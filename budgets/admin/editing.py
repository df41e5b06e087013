"""What brand and campaign forms share: they save through the service, and money stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.contrib import messages
from django.db import models
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from budgets.admin.base import Admin, moved_in_words
from budgets.core.plurals import counted
from budgets.models import Brand, Campaign
from budgets.services import editing
from budgets.services.enforcement import Outcome

DELETED_AT_ONCE = 100

AnswerT = TypeVar("AnswerT")


class EditingAdmin(Admin):
    """Saves a brand or a campaign so that it decides at once; deletes only what has no history."""

    def save_model(
        self, request: HttpRequest, obj: Brand | Campaign, form: Any, change: bool
    ) -> None:
        """Store what was edited, decide, and say what happened."""
        outcome = editing.save(
            obj,
            by=request.user.get_username(),
            now=timezone.now(),
            changed=form.changed_data if change else None,
        )
        self.tell(request, obj, outcome)

    def tell(self, request: HttpRequest, obj: Brand | Campaign, outcome: Outcome) -> None:
        """Say what the edit did."""
        if outcome.troubled:
            words = "Saved, but the brand cannot be processed; its campaigns stay as they are."
            self.message_user(request, words, messages.WARNING)
        elif moved := moved_in_words(outcome.paused, outcome.resumed):
            self.message_user(request, f"{moved}.")

    def kept(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return those of `rows` that cannot be deleted."""
        raise NotImplementedError

    remedy = ""
    """What to do instead of deleting."""

    def get_deleted_objects(
        self, objs: models.QuerySet[Any] | Sequence[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Say what a deletion would do, without loading the ledger as Django's own does."""
        chosen = list(objs[: DELETED_AT_ONCE + 1])
        rows = self.model._default_manager.filter(pk__in=[row.pk for row in chosen])
        if len(chosen) > DELETED_AT_ONCE:
            protected = [f"More than {DELETED_AT_ONCE} at once: select fewer."]
        else:
            protected = [f"{row}: {self.remedy}" for row in self.kept(rows)]
        allowed = self.has_delete_permission(request)
        name = str(self.opts.verbose_name)
        return (
            [str(row) for row in chosen],
            {str(self.opts.verbose_name_plural): len(chosen)},
            set() if allowed else {name},
            protected,
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Delete one; history that arrives between the question and the answer still refuses."""
        view: Callable[..., HttpResponse] = super().delete_view
        return self._unless_protected(view, request, object_id, extra_context)

    def response_action(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> HttpResponse | None:
        """Run an action; the same holds for deleting several."""
        action: Callable[..., HttpResponse | None] = super().response_action
        return self._unless_protected(action, request, queryset)

    def _unless_protected(
        self, view: Callable[..., AnswerT], request: HttpRequest, *args: Any
    ) -> AnswerT | HttpResponseRedirect:
        try:
            return view(request, *args)
        except ProtectedError as error:
            count = counted(len(error.protected_objects), "row")
            words = f"Not deleted: {count} that cannot be deleted came in between."
            self.message_user(request, words, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
