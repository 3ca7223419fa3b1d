"""A page as the keyboard sees it: what Tab reaches, and whether the eye can follow."""

REACHABLE = """() => {
  const wanted = "a[href], button, input, select, textarea, summary, [tabindex]";
  const found = [...document.querySelectorAll(wanted)];
  const stops = found.filter(element => element.tabIndex >= 0 && !element.disabled
    && element.type !== "hidden"
    && element.checkVisibility({ visibilityProperty: true })
    && !element.closest("dialog:not([open])")
    && element.getClientRects().length);
  stops.forEach((element, i) => { element.dataset.stop = i; });
  return stops.map(element => element.outerHTML.slice(0, 160));
}"""
FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
  const drawn = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
  return {
    stop: element.dataset.stop ?? null,
    seen: drawn && !outlineColor.endsWith(", 0)"),
    html: element.outerHTML.slice(0, 160),
  };
}"""
PATIENCE = 1.1  # stops may appear while scripts follow the focus


def tab_through(page) -> list[str]:
    """What is wrong with the way of the Tab key through a page."""
    stops = page.evaluate(REACHABLE)
    visits, faults = [], []
    for _ in range(round(len(stops) * PATIENCE) + 5):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        visits.append(focused["stop"])
        if not focused["seen"]:
            faults.append(f"focus is not seen: {focused['html']}")
    else:
        faults.append(f"the keyboard does not come out: {focused['html']}")
    missed = set(range(len(stops))) - {int(stop) for stop in visits if stop}
    faults += [f"not reached: {stops[i]}" for i in sorted(missed)]
    repeated = {stop for stop in visits if stop and visits.count(stop) > 1}
    return faults + [f"reached more than once: {stops[int(i)]}" for i in repeated]
