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

/* What lies below the screen waits until the page has arrived, or an anchor is wanted. */
(() => {
  const waiting = [...document.querySelectorAll("article > section > section")];
  const whenIdle = window.requestIdleCallback ?? setTimeout;
  const layOut = section => { section.style.contentVisibility = "visible"; };
  const layOutAll = () => waiting.splice(0).forEach(layOut);
  function layOutNext() {
    waiting.splice(0, 1).forEach(layOut);
    if (waiting.length) whenIdle(layOutNext);
  }
  if (location.hash) layOutAll();
  else addEventListener("load", () => whenIdle(layOutNext));
  document.addEventListener("click", event => {
    if (event.target.closest?.("a[href^='#']")) layOutAll();
  }, true);
})();
