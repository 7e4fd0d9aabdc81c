"""A conversation saved as Markdown."""

from __future__ import annotations

from django.test import Client

from apps.playground.models import Conversation
from apps.playground.tests.addresses import url
from apps.playground.tests.conftest import Ask


def test_the_branch_on_show_is_saved_without_thoughts(client: Client, ask: Ask) -> None:
    answer = ask("What is the *capital*?")
    chat = answer.conversation
    type(answer).objects.filter(pk=answer.pk).update(content="<think>Hm.</think>\n\nParis.")
    Conversation.objects.update(title='Where? "Paris" / ..', system_prompt="Be brief.")

    saved = client.get(url(chat, "markdown/"))

    assert saved["Content-Disposition"] == 'attachment; filename="where-paris.md"'
    assert saved["Content-Type"] == "text/markdown; charset=utf-8"
    assert saved.content.decode() == (
        '# Where? "Paris" / ..\n\n## System prompt\n\nBe brief.\n\n'
        "## You\n\nWhat is the *capital*?\n\n## Tiny\n\nParis.\n"
    )


def test_a_title_without_latin_letters_gives_a_plain_name(
    client: Client, chat: Conversation
) -> None:
    Conversation.objects.update(title="東京")
    saved = client.get(url(chat, "markdown/"))
    assert saved["Content-Disposition"] == 'attachment; filename="conversation.md"'
