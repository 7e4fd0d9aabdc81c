"""What the model sees: the tokens of one row, and the lengths of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.datasets.change_forms import tokens_form
from apps.datasets.formats.errors import NoTokens
from apps.datasets.formats.tokens import Seen, Token, learnt_rows
from apps.datasets.forms import TokensForm
from apps.datasets.models import DatasetJob
from apps.datasets.shown import bars_of
from apps.datasets.tokenizers import tokenizer_of
from apps.datasets.views import dataset_of, frame, version_of

SHOWN_TOKENS = 4_000
"""Tokens of a row that the page shows; those behind are counted."""


@dataclass(frozen=True)
class Side:
    """A row as the model sees it, or one answer of a pair."""

    name: str
    seen: Seen

    @property
    def shown(self) -> list[Token]:
        return self.seen.tokens[:SHOWN_TOKENS]


@require_safe
def row_tokens(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A row's exact text by tokens: special, learnt, seen only, cut."""
    dataset = dataset_of(slug)
    version = version_of(dataset, request)
    if version is None or number >= version.rows:
        raise Http404
    if not request.GET:  # the row's page asks whose tokens
        return redirect("datasets:row", slug, number)
    form = TokensForm(request.GET)
    context = frame(dataset, version, "rows") | {"number": number, "tokens_form": form}
    if form.is_valid():
        values = form.cleaned_data
        try:
            tokenizer = tokenizer_of(values["model"])
            context["sides"] = [
                Side(name, tokenizer.see(each, mask_prompt=values["mask"], limit=values["limit"]))
                for name, each in learnt_rows(version.files.at(number).value).items()
            ]
        except NoTokens as error:
            context["failure"] = str(error)
    return render(request, "data/row_tokens.html", context)


@require_safe
def tokens(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest count of this version's tokens, and a form for another."""
    dataset = dataset_of(slug)
    version = version_of(dataset, request)
    if version is None:
        raise Http404
    # First what is at work: what ends after that is seen, or followed.
    context = frame(dataset, version, "tokens")
    counts = DatasetJob.objects.filter(base=version, kind=DatasetJob.Kind.TOKENS)
    counted = counts.filter(state=DatasetJob.State.DONE).order_by("-pk").first()
    context |= {"counted": counted, "tokens_form": tokens_form(request.GET)}
    if counted is not None:
        context["bars"] = bars_of(counted.figures["bars"], counted.plan["limit"])
    return render(request, "data/tokens.html", context)
