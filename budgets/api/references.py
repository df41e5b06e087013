"""How callers name campaigns: by our id, or by brand and the platform's id."""

from __future__ import annotations

from collections.abc import Iterable

from budgets.api.schemas import CampaignName
from budgets.core.primary_keys import LARGEST_KEY
from budgets.models.brand import LONGEST_NAME
from budgets.services.ingestion import MAX_ID, Result, rejected, unfit_text
from budgets.services.keys import Principal

Ref = int | CampaignName


class References:
    """Campaigns that a request names, found with two questions at most.

    Those that the key may not see are not found, like those that do not exist.
    """

    def __init__(self, principal: Principal, refs: Iterable[Ref]) -> None:
        ids: set[int] = set()
        names: set[tuple[str, str]] = set()
        for ref in refs:
            if isinstance(ref, int):
                if 0 < ref <= LARGEST_KEY:
                    ids.add(ref)
            elif not unfit_text(ref.brand, LONGEST_NAME) and not unfit_text(
                ref.external_id, MAX_ID
            ):
                names.add((ref.brand, ref.external_id))
        visible = principal.campaigns()
        # A key for all brands need not ask: ingestion says which of the ids there are none of.
        self._ids = (
            ids
            if principal.brand_ids is None
            else set(visible.filter(pk__among=ids).values_list("pk", flat=True))
        )
        self._names: dict[tuple[str, str], int] = {}
        if names:
            brands, external_ids = zip(*names, strict=True)
            rows = visible.filter(brand__name__in=brands, external_id__in=external_ids)
            self._names = {
                (brand, external_id): pk
                for brand, external_id, pk in rows.values_list("brand__name", "external_id", "pk")
                if external_id is not None
            }

    def find(self, ref: Ref) -> int | Result:
        """Return the campaign's id, or why the event is rejected."""
        if isinstance(ref, int):
            found = ref if ref in self._ids else None
            words = f"there is no campaign {ref}"
        else:
            found = self._names.get((ref.brand, ref.external_id))
            words = f"there is no campaign {ref.external_id[:50]!r} of a brand {ref.brand[:50]!r}"
        if found is None:
            return rejected("unknown_campaign", "campaign", words)
        return found
