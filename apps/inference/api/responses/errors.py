"""What can go wrong with responses that are kept.

ResponsesFault          what all of them are; the message says what to do
  ResponseNotFound      404: no such response, or another caller's
  PreviousNotFound      400: what a request goes on from is not there
  ItemNotFound          400: an item refers to one that is not there
  NothingAsked          400: there is no input and nothing to go on from
"""

from __future__ import annotations

from apps.inference.api.errors import Problem, problem


class ResponsesFault(Exception):
    """``status``, ``param`` and ``code`` as OpenAI's error says them."""

    status = 400
    param: str | None = None
    code: str | None = None


class ResponseNotFound(ResponsesFault):
    status = 404
    code = "response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"There is no response {response_id!r}. It may be deleted, or older than the hub "
            "keeps responses, or it was made with `store: false`."
        )


class PreviousNotFound(ResponsesFault):
    param = "previous_response_id"
    code = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"There is no response {response_id!r} to go on from. It may be deleted, or older "
            "than the hub keeps responses, or it was made with `store: false`. Send the whole "
            "conversation as the input."
        )


class ItemNotFound(ResponsesFault):
    param = "input"
    code = "item_not_found"


class NothingAsked(ResponsesFault):
    param = "input"

    def __init__(self) -> None:
        super().__init__("There is nothing to answer. Give an input or a previous_response_id.")


def responses_problem(fault: ResponsesFault) -> Problem:
    """The fault as HTTP says it."""
    return problem(fault.status, str(fault), param=fault.param, code=fault.code)
