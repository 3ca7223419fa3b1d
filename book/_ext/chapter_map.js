// A row under the pointer or in focus lights up what its chapter rests on.
(() => {
  const map = document.querySelector(".chapter-map");
  const rows = [...map.querySelectorAll(".chapters > li")];
  const chapter = row => row.querySelector(".dot").dataset;
  const show = row => {
    const lit = row && [chapter(row).chapter, ...chapter(row).restsOn.split(" ")];
    const aside = name => Boolean(lit) && !lit.includes(name);
    for (const one of rows) one.classList.toggle("aside", aside(chapter(one).chapter));
    for (const path of map.querySelectorAll("path"))
      path.classList.toggle("aside", aside(path.dataset.chapter));
  };
  for (const row of rows) {
    for (const event of ["mouseenter", "focusin"])
      row.addEventListener(event, () => show(row));
    for (const event of ["mouseleave", "focusout"])
      row.addEventListener(event, () => show(null));
  }
})();
