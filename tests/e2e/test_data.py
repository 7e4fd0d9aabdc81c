"""The Data pages in a real browser: from a messy table to rows that a model can learn from."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.looking import assert_accessible
from tests.hub_process import HubProcess

GOOD = "".join(f'"How much is {i} times 3?","It is {3 * i}.",maths\n' for i in range(1, 41))
MESSY = (
    "Frage,Antwort,Thema\n"
    '"What is the capital?","Berlin.",places\n'
    '"What is the capital?","Berlin.",places\n'
    '"What is 2+2?","",maths\n'
    '"Who writes?","Write to jo@example.org.",people\n'
    "too,many,fields,here\n" + GOOD
)


def test_a_messy_table_becomes_rows_to_learn_from(hub: HubProcess, page: Page) -> None:
    page.goto(f"{hub.url}/data/import/")
    table = {"name": "messy.csv", "mimeType": "text/csv", "buffer": MESSY.encode()}
    page.get_by_label("File, or drop one here").set_input_files([table])
    page.get_by_role("button", name="Upload and import").click()

    # Its columns are called what nobody could know: they wait for their roles.
    page.get_by_role("link", name="Map the columns").click()
    expect(page.get_by_role("heading", name="Preview")).to_be_visible()
    page.get_by_label("Conversation").check()
    page.get_by_label("Frage").select_option("user")
    page.get_by_label("Antwort").select_option("assistant")
    page.get_by_label("Thema").select_option("keep")
    expect(page.get_by_role("article", name="Row 1")).to_contain_text("assistantBerlin.")
    page.get_by_label("Condition 1").fill("Thema != people")
    expect(page.get_by_text("43 of 44 records make rows.")).to_be_visible()
    page.get_by_label("Condition 1").fill("")
    expect(page.get_by_text("records make rows.")).to_have_count(0)
    assert_accessible(page)
    page.get_by_role("button", name="Map all rows").click()

    # What is wrong with it is counted and shown; it is corrected, or removed in bulk.
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()
    expect(page.get_by_text("more fields than columns")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="Empty").click()
    expect(page.get_by_text("1 row", exact=True)).to_be_visible()
    page.get_by_role("link", name="3", exact=True).click()
    editor = page.get_by_label("Row as JSON")
    editor.fill(editor.input_value().replace('"content": ""', '"content": "Four."'))
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("Edited row 3.")).to_be_visible()
    expect(page.get_by_role("link", name="Empty")).to_have_count(0)
    page.get_by_role("link", name="See the changes").click()
    expect(page.locator("ins")).to_have_text("Four.")
    assert_accessible(page)
    page.get_by_role("link", name="Rows", exact=True).click()
    page.get_by_role("checkbox", name="Duplicate").check()
    page.get_by_role("button", name="Remove rows").first.click()
    expect(page.get_by_role("heading", name="43 rows")).to_be_visible()
    page.get_by_role("checkbox", name="E-mail address").check()
    page.get_by_role("button", name="Mask", exact=True).click()
    expect(page.get_by_role("heading", name="Personal data")).to_have_count(0)
    page.get_by_label("Row 2", exact=True).check()
    page.get_by_label("Selected rows").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="42 rows")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="43 rows")).to_be_visible()

    # What the model sees of a row: all of the prompt is greyed, the answer is learnt.
    page.get_by_role("link", name="1", exact=True).click()
    page.get_by_role("button", name="Show tokens").click()
    tokens = page.get_by_role("region", name="Tokens")
    expect(tokens).to_contain_text("What is the capital?")
    assert "capital" not in "".join(tokens.locator(".token:not(.is-masked)").all_inner_texts())
    assert "Berlin." in "".join(tokens.locator(".token:not(.is-masked)").all_inner_texts())
    assert_accessible(page)

    page.get_by_role("link", name="Rows", exact=True).click()
    page.get_by_role("button", name="Split", exact=True).click()
    expect(page.get_by_text("Validation4")).to_be_visible()
    page.get_by_role("link", name="Versions", exact=True).click()
    expect(
        page.get_by_text("Split at random: 90% for training, 10% for validation (seed 0)")
    ).to_be_visible()
    assert_accessible(page)


def test_a_search_keeps_its_place_in_the_address(hub: HubProcess, page: Page) -> None:
    page.goto(f"{hub.url}/data/import/")
    rows = page.get_by_label("Rows", exact=True)
    rows.fill('{"text": "One fish."}\n{"text": "Two birds."\n')
    page.get_by_role("textbox", name="Name", exact=True).fill("Animals")
    pasted = page.get_by_role("region", name="Pasted rows")
    pasted.get_by_role("button", name="Import").click()
    # What can't be read comes back as it was pasted, to be corrected there.
    expect(page.get_by_text("Not all of it can be read: line 2")).to_be_visible()
    expect(rows).to_be_focused()
    rows.fill(rows.input_value().replace('birds."', 'birds."}'))
    pasted.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="2 rows")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("BIRDS")
    page.get_by_role("searchbox", name="Search").press("Enter")
    expect(page.get_by_text("1 row with")).to_be_visible()
    page.reload()
    expect(page.get_by_role("cell", name="Two birds.")).to_be_visible()
    expect(page.get_by_role("cell", name="One fish.")).to_have_count(0)
