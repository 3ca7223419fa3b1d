/* What scrolls sideways can be reached by keyboard. */
(() => {
  const SCROLLERS = "pre, div.math, .cell_output > .output, .ledger-scroll, "
    + ".pst-scrollable-table-container";
  const observer = new ResizeObserver(entries => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else if (target.tabIndex === 0) target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(SCROLLERS)) observer.observe(box);
})();
/* The contents of the page mark the section that is being read. */
(() => {
  const links = document.querySelectorAll(".page-toc a[href^='#']");
  const places = new Map([...links].map(a => [a.hash.slice(1), a]));
  const observer = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries)
      places.get(target.id).classList.toggle("active", isIntersecting);
  }, { rootMargin: "-20% 0px -79% 0px" });  // a line below the top of the window
  for (const id of places.keys()) observer.observe(document.getElementById(id));
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

/* What lies below the screen is laid out when the reader comes near; all of it at once
   where the page has to know how long it is: for an anchor, or to return to a place.
   Screen readers hear only of what is laid out (Chromium 156), so while she reads the
   first screen the rest follows, section by section, when the browser has time. */
(() => {
  const layOut = () => document.documentElement.classList.add("laid-out");
  const sections = [...document.querySelectorAll("article > section > section")];
  const whenIdle = window.requestIdleCallback ?? (task => setTimeout(task, 200));
  const layOutNext = () => {
    const section = sections.shift();
    if (!section) return layOut();
    section.style.contentVisibility = "visible";
    whenIdle(layOutNext);
  };
  addEventListener("load", () => setTimeout(layOutNext, 5000));
  const [{ type }] = performance.getEntriesByType("navigation");
  if (location.hash || type !== "navigate") layOut();
  document.addEventListener("click", event => {
    if (event.target.closest?.("a[href^='#']")) layOut();
  }, true);
})();
