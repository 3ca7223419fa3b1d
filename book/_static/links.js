/* What a reference points to, shown beside it; and what a followed link opens. */
(() => {
  const LINKS = 'article a.internal[href*="#"]:not([href*="_modules/"])';
  const WHOLE = "p, li, dt, figure, table, .math, .proof, .exercise, .solution, "
    + ".admonition, .citation, .cell, [class*=highlight-]";
  const pages = new Map();
  let box, link, title, timer;

  // A page may not read another one from a disk, but it may load a script beside it.
  function other(url) {
    if (!pages.has(url)) pages.set(url, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = url.replace(/html$/, "previews.js");
      script.onload = () => {
        const page = document.createElement("template");
        page.innerHTML = window.previews;
        for (const name of ["href", "src"])
          for (const node of page.content.querySelectorAll(`[${name}]`))
            node.setAttribute(name, new URL(node.getAttribute(name), url));
        resolve(page.content);
      };
      script.onerror = reject;
      document.head.append(script);
    }));
    return pages.get(url);
  }

  function pieces(node) {
    const whole = node.closest(WHOLE);
    if (!whole) {
      const section = node.closest("section");
      return ["h1, h2, h3, h4", "p"].map(kind => section.querySelector(kind));
    }
    if (whole.matches("dt")) return [whole, whole.nextElementSibling];
    if (!whole.matches(".cell")) return [whole];
    const equation = node.id.replace("verify-", "equation-");
    const lines = whole.querySelectorAll(`p:has(.verified-line a[href$="#${equation}"])`);
    return [...lines, whole.querySelector(".cell_input")];
  }

  async function copies(a) {
    const [url, here] = [a.href, location.href].map(address => address.split("#")[0]);
    const root = url === here ? document : await other(url);
    const node = root.getElementById(decodeURIComponent(a.hash.slice(1)));
    return node ? pieces(node).filter(Boolean).map(copy) : [];
  }

  function copy(piece) {
    const node = document.importNode(piece, true);
    for (const part of [node, ...node.querySelectorAll("[id]")]) part.removeAttribute("id");
    node.querySelectorAll(".headerlink, .viewcode-link, button, script, dl.py")
      .forEach(part => part.remove());
    return node;
  }

  async function show(a) {
    hide();
    link = a;
    const content = await copies(a).catch(() => []);
    if (link !== a || !content.length) return;
    box = document.createElement("div");
    box.id = "preview";
    box.role = "tooltip";
    box.append(...content);
    document.body.append(box);
    title = a.title;  // the browser would show it over the preview
    a.removeAttribute("title");
    a.setAttribute("aria-describedby", "preview");
    place(a.getClientRects()[0], box.getBoundingClientRect());
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", leave);
  }

  function place(at, size) {
    const right = document.documentElement.clientWidth - size.width - 8;
    const below = at.bottom + size.height + 8 < innerHeight || at.top < size.height + 8;
    box.style.left = `${Math.max(8, Math.min(at.left, right)) + scrollX}px`;
    box.style.top = `${(below ? at.bottom + 4 : at.top - size.height - 4) + scrollY}px`;
  }

  function hide() {
    clearTimeout(timer);
    if (box) {
      link.removeAttribute("aria-describedby");
      if (title) link.title = title;
      box.remove();
    }
    box = link = null;
  }

  function leave() {
    clearTimeout(timer);
    timer = setTimeout(hide, 250);
  }

  const linkAt = node => node.closest?.(LINKS);
  document.addEventListener("pointerover", event => {
    const a = linkAt(event.target);
    if (!a || event.pointerType !== "mouse") return;
    clearTimeout(timer);
    if (a !== link) timer = setTimeout(show, 150, a);
  });
  document.addEventListener("pointerout", event => linkAt(event.target) && leave());
  document.addEventListener("focusin", event => {
    const a = linkAt(event.target);
    if (a?.matches(":focus-visible")) show(a);
    else if (!box?.contains(event.target)) hide();
  });
  document.addEventListener("click", event => linkAt(event.target) && hide());
  document.addEventListener("keydown", event => event.key === "Escape" && hide());

  // A followed link opens what hides its target.
  function open() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let node = target; node; node = node.parentElement) {
      if (node.matches("details")) node.open = true;
      if (node.matches(".toggle-hidden")) node.querySelector("button.toggle-button").click();
    }
    const input = target?.closest(".cell")?.querySelector("details");
    if (input) input.open = true;
    target?.scrollIntoView();
  }
  addEventListener("hashchange", open);
  addEventListener("load", open);
})();
