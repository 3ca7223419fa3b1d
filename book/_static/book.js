/* What scrolls sideways can be reached by keyboard. */
(() => {
  const SCROLLERS = "div.math, .ledger-scroll, .pst-scrollable-table-container";
  function mark() {
    for (const box of document.querySelectorAll(SCROLLERS)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  addEventListener("load", mark);
  addEventListener("resize", mark);
})();
