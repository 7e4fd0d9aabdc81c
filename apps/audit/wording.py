"""Actions as people read them. What is kept, and what programs get, are the codes.

A code is ``kind.verb``, where somebody did something; of what was refused it is the route's own
name: a page's URL name, or an API call's address (apps/accounts/rules.py).
"""

from __future__ import annotations

_OF_THEIR_OWN = {
    "admin.add": "Add in Django's admin",
    "admin.change": "Change in Django's admin",
    "admin.delete": "Delete in Django's admin",
    "admin:*": "Use Django's admin",
    "alert.rule": "Change alert rule",
    "key.create": "Make API key",
    "key.revoke": "Revoke API key",
    "model.load-cancel": "Cancel loading model",
    "model.settings": "Change model's settings",
    "prompt-cache.evict": "Evict cached prompts",
    "prompt-cache.pin": "Pin cached prompt",
    "prompt-cache.unpin": "Unpin cached prompt",
    "session.begin": "Sign in",
    "session.end": "Sign out",
    "setup.finish": "Become the first owner",
    "user.create": "Make account",
    "user.disable": "Switch account off",
    "user.enable": "Switch account on",
    "user.password": "Set password",
    "user.reset": "Reset password",
    "user.role": "Change role",
}

_VERBS = {"order": "start"}
"""Where people say it otherwise."""


def in_words(code: str) -> str:
    """What was done or wanted: ``training-job.cancel`` is ``Cancel training job``."""
    if code in _OF_THEIR_OWN:
        return _OF_THEIR_OWN[code]
    if "/" in code:
        return "Call the API"
    if ":" in code:
        section, _, page = code.partition(":")
        return f"{_spaced(section).capitalize()}: {_spaced(page)}"
    kind, _, verb = code.partition(".")
    return f"{_spaced(_VERBS.get(verb, verb))} {_spaced(kind)}".strip().capitalize()


def _spaced(name: str) -> str:
    return name.replace("-", " ").replace("_", " ")
