/* What scrolls sideways can be reached by keyboard. */
(() => {
  const SCROLLERS = "pre, div.math, .ledger-scroll, .pst-scrollable-table-container";
  const observer = new ResizeObserver(entries => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else if (target.tabIndex === 0) target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(SCROLLERS)) observer.observe(box);
})();
/* Paper shows what is folded on the screen. */
(() => {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const box of folded) box.open = true;
  });
  addEventListener("afterprint", () => {
    for (const box of folded) box.open = false;
  });
})();
