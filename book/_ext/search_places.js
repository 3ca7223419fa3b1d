/* What defines a term or treats a subject comes first; then the results of Sphinx. */
(() => {
  const search = Search._performSearch;
  const plain = text => text.toLowerCase().replace(/[\s_-]+/g, " ").trim();
  for (const place of SEARCH_PLACES) place.names = place.names.map(plain);
  function rank({ names, page, defines }, query) {
    if (names.includes(query)) return 6 + 2 * defines + plain(page).endsWith(query);
    const near = name => name.startsWith(query) || query.startsWith(`${name} `);
    if (near(names[0])) return 4 + defines;
    const all = names.join(" "), words = query.split(" ");
    if (words.every(word => all.includes(word))) return 2 + defines;
    return words.some(word => word.length > 2 && names.includes(word)) ? 1 : 0;
  }
  Search._performSearch = (query, ...rest) => {
    const { docnames, filenames, titles } = Search._index, wanted = plain(query);
    const first = SEARCH_PLACES.map(place => {
      const page = docnames.indexOf(place.page);
      const title = `${titles[page]} > ${place.section}`;
      const score = wanted && rank(place, wanted);
      return [place.page, title, `#${place.anchor}`, null, score, filenames[page]];
    }).filter(result => result[4]).reverse();
    first.sort((a, b) => a[4] - b[4]);  // they are shown from the end
    const known = new Set(first.map(([page, , anchor]) => page + anchor));
    const others = search(query, ...rest).filter(r => !known.has(r[0] + r[2]));
    return [...others, ...first];
  };
})();
