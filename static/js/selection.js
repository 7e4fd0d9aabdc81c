// `data-check-all`: one box in the head of a table checks those of its rows, by their name.
function boxes(all) {
  return all.closest("table").querySelectorAll(`input[name="${all.dataset.checkAll}"]`);
}

function sumUp(all) {
  const each = [...boxes(all)];
  all.checked = each.length > 0 && each.every((box) => box.checked);
  all.indeterminate = !all.checked && each.some((box) => box.checked);
}

document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches("[data-check-all]")) {
    for (const box of boxes(target)) box.checked = target.checked;
    return;
  }
  const all = target.closest("table")?.querySelector("[data-check-all]");
  if (all && target.name === all.dataset.checkAll) sumUp(all);
});

// Without JavaScript it would do nothing, so it is hidden then.
function show() {
  for (const all of document.querySelectorAll("[data-check-all][hidden]")) {
    all.hidden = false;
    sumUp(all);
  }
}

show();
document.addEventListener("htmx:afterSwap", show);
