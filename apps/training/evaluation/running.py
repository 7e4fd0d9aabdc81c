"""One evaluation from its claim to its last finding. What is found is kept as it comes:
an evaluation that goes on asks only for the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from apps.datasets.formats.errors import NoTokens
from apps.datasets.formats.tokens import RowTokenizer, load_tokenizer
from apps.inference.client import EngineError
from apps.inference.services import ModelNotFound, NamedModel, engine, resolve_model
from apps.jobs.conduct import Progress, conduct
from apps.jobs.models import JobState
from apps.training.evaluation.asking import Asked, Asking, Likelihood, Outcome, Refused, Said
from apps.training.evaluation.checks import Judge, judge_of
from apps.training.evaluation.errors import EvaluationError
from apps.training.evaluation.material import rows_of
from apps.training.evaluation.models import Evaluation, Finding

Place = tuple[bool, int, int]
"""Whether it answers, the row, the subject: what is found once."""


def run(
    evaluation: Evaluation,
    *,
    stops: threading.Event,
    on_progress: Progress | None = None,
) -> None:
    """Ask until all is asked, somebody cancels it, or ``stops`` is set; then it goes on later."""
    conduct(
        evaluation,
        lambda report: _Run(evaluation).go(report),
        expected=(EvaluationError, EngineError, ModelNotFound, NoTokens),
        worker_stops=stops,
        stopped_as=JobState.QUEUED,
        on_progress=on_progress,
    )


class _Run:
    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._plan = evaluation.ordered
        self._models: list[NamedModel] = [resolve_model(name) for name in self._plan.subjects]
        self._judge: Judge = judge_of(self._plan.check)
        self._questions = evaluation.asked
        self._done = self._found()

    def go(self, tell: Progress) -> None:
        """Raises EngineError, NoTokens, EvaluationError and what ``tell`` raises."""
        total = max(self._evaluation.calls, 1)
        with Asking(engine()) as asking:
            for outcome in asking.outcomes(self._calls()):
                if outcome is not None:
                    self._keep(*outcome)
                tell(f"{len(self._done):,} of {total:,} asked", len(self._done) / total)

    def _found(self) -> set[Place]:
        found = Finding.objects.filter(evaluation=self._evaluation)
        return set(found.values_list("answers", "row", "subject"))

    def _calls(self) -> Iterator[Asked]:
        """Row by row, so that all subjects share a batch, and their prompts' beginnings."""
        yield from self._answers()
        yield from self._likelihoods()

    def _answers(self) -> Iterator[Asked]:
        for row, question in enumerate(self._questions):
            for subject, model in enumerate(self._models):
                if (True, row, subject) not in self._done:
                    yield Asked(
                        row,
                        subject,
                        model,
                        messages=question.messages,
                        max_tokens=self._plan.max_tokens,
                    )

    def _likelihoods(self) -> Iterator[Asked]:
        lines = self._evaluation.lines
        if not lines or self._evaluation.dataset is None:
            return
        folder = self._evaluation.dataset.folder
        tokenizers: dict[str, RowTokenizer] = {}
        for line, row in rows_of(folder, self._plan.split, lines):
            for subject, model in enumerate(self._models):
                if (False, line, subject) in self._done:
                    continue
                path = model.model.path
                if path not in tokenizers:
                    tokenizers[path] = load_tokenizer(Path(path))
                try:
                    tokens, start = tokenizers[path].process(row, mask_prompt=True)
                except NoTokens as error:
                    self._keep(Asked(line, subject, model, tokens=(0,)), Refused(f"{error}"))
                    continue
                tokens = tokens[: self._plan.max_seq_length]
                call = Asked(line, subject, model, tokens=tuple(tokens), learnt_from=start)
                if len(tokens) > max(start, 1):
                    yield call
                else:
                    self._keep(call, Refused("The prompt fills all of the length limit."))

    def _keep(self, call: Asked, outcome: Outcome) -> None:
        finding = Finding(
            evaluation=self._evaluation,
            answers=not call.tokens,
            row=call.row,
            subject=call.subject,
        )
        match outcome:
            case Likelihood():
                finding.loss, finding.tokens = outcome.loss, outcome.tokens
            case Said():
                finding.text = outcome.text
                finding.passed = self._judge(outcome.text, self._questions[call.row].reference)
            case Refused():
                finding.error = outcome.why
        finding.save()
        self._done.add((finding.answers, call.row, call.subject))
