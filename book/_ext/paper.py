"""The book on paper: one LaTeX document, made from the same pages as the site.

`make pdf` builds it. Here the pages are arranged: front matter, parts, solutions and
back matter. `paper_blocks` and `paper_tables` turn what stands on them into LaTeX, and
`paper.sty` says how it looks.
"""

import os
import shutil
import subprocess

from docutils import nodes
from paper_blocks import (
    box,
    depart_box,
    latex,
    make_boxes,
    number_chapters,
    number_displays,
    page_of,
    prepare_cells,
    target,
    visit_box,
)
from paper_tables import shorten
from sphinx import addnodes
from sphinx.builders.latex.nodes import thebibliography
from sphinx.transforms.post_transforms.images import ImageConverter

ABOUT, BIBLIOGRAPHY = "About this book", "book/references"
ELEMENTS = {
    "papersize": "a4paper",
    "pointsize": "11pt",
    "extraclassoptions": "openany",
    "fncychap": "",
    "fontpkg": "",
    "maketitle": r"\frontmatter\pgtitlepage{2026}",
    "tableofcontents": r"\tableofcontents",
    "preamble": r"\usepackage{paper}",
    "sphinxsetup": "verbatimwithframe=false, verbatimsep=3pt, "
    "VerbatimColor={HTML}{F5F5F5}, TitleColor={named}{black}, "
    "verbatimhintsturnover=false, hmargin={34mm,34mm}, vmargin={30mm,31mm}, "
    "InnerLinkColor={HTML}{005F9E}, OuterLinkColor={HTML}{005F9E}",
}


class FigureConverter(ImageConverter):
    """Figures of the site, as vector graphics that LaTeX can read."""

    conversion_rules = [("image/svg+xml", "application/pdf")]

    def is_available(self) -> bool:
        """Whether the converter is installed."""
        return shutil.which("rsvg-convert") is not None

    def convert(self, _from, _to) -> bool:
        """Convert a figure; the same figure gives the same file."""
        command = ["rsvg-convert", "-f", "pdf", "-o", str(_to), str(_from)]
        subprocess.run(command, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "0"})
        return True


def configure(app, config):
    """Hand the looks to LaTeX."""
    config.latex_elements = ELEMENTS
    config.latex_docclass = {"manual": "book"}
    config.latex_table_style = ["booktabs"]
    config.latex_domain_indices = False
    config.latex_use_xindy = False
    config.latex_additional_files = ["book/_ext/paper.sty"]


def arrange(app, tree, docname):
    """Turn the pages, strung together in reading order, into a book."""
    if app.builder.format == "latex":
        prepare_cells(tree)
        shorten(tree)
        number_displays(tree, app.env)
        number_chapters(tree, app.env)
        make_boxes(tree, app.env)
        divide_into_parts(tree, app.env, move_solutions(tree, app.env))
        place_bibliography(tree)
        label_definitions(tree)
        leave_greek_out_of_the_index(tree)


def move_solutions(tree, env):
    """Take the solutions from their chapters, and make a chapter of them."""
    chapter = nodes.section("", nodes.title("", "Solutions"), ids=["solutions"])
    for page in tree.findall(addnodes.start_of_file):
        solutions = [b for b in page.findall(box) if b["kind"] == "solution"]
        if solutions:
            docname = page["docname"]
            number = [str(n) for n in env.toc_secnumbers[docname].get("", ())]
            name = ". ".join([*number, env.titles[docname].astext()])
            section = nodes.section("", nodes.title("", name))
            for solution in solutions:
                link_to_exercise(page, solution)
                solution.parent.remove(solution)
                section += solution
            chapter += addnodes.start_of_file("", section, docname=docname)
    return chapter


def link_to_exercise(page, solution):
    """Say where the other is, under the exercise and in the title of the solution."""
    label, back = (
        f"{page['docname']}:{name}" for name in (solution["ids"][0], solution["target"])
    )
    exercise = next(b for b in page.findall(box) if solution["target"] in b["ids"])
    exercise += latex(rf"\pgsolution{{{label}}}")
    title = solution[0]
    title.pop(0)  # "Solution to", before the name of the exercise
    title += latex(rf"\pgexercise{{{back}}}")


def divide_into_parts(tree, env, solutions):
    """Front matter, the parts with their chapters, solutions, back matter."""
    book = tree.next_node(nodes.section)
    pages = [node for node in book if "toctree-wrapper" in node["classes"]]
    about = [node for node in book[1:] if node not in pages]
    preface = nodes.section("", nodes.title("", ABOUT), *about, ids=book["ids"])
    book[:] = [book[0], preface]
    toctrees = env.get_doctree(env.config.root_doc).findall(addnodes.toctree)
    captions = [toctree.get("caption", "") for toctree in toctrees]
    last = max(i for i, caption in enumerate(captions) if caption.startswith("Part "))
    for i, (caption, chapters) in enumerate(zip(captions, pages, strict=True)):
        if caption.startswith("Part "):
            book += latex(rf"\pgpart{{{caption.partition('. ')[2]}}}")
        book += chapters
        if i == last:
            book += [latex(r"\pgbackmatter"), solutions]


def place_bibliography(tree):
    """The list of sources brings its own title, and takes the place of its page."""
    (sources,) = tree.findall(thebibliography)
    sources.parent.remove(sources)
    for page in tree.findall(addnodes.start_of_file):
        if page["docname"] == BIBLIOGRAPHY:
            names = page.next_node(nodes.section)["ids"]
            targets = "".join(target(BIBLIOGRAPHY, name) for name in names)
            page[:] = [latex(r"\clearpage" + targets), sources]


def label_definitions(tree):
    """The glossary leads to the words in bold that a chapter defines."""
    for bold in tree.findall(nodes.strong):
        for name in bold["ids"]:
            bold.insert(0, latex(target(page_of(bold), name)))


def leave_greek_out_of_the_index(tree):
    """The program that sorts the index knows no letters but ours."""
    for index in tree.findall(addnodes.index):
        index["entries"] = [e for e in index["entries"] if e[1][:1].isascii()]


def setup(app):
    """Connect the steps of the build; they do nothing for other builders."""
    app.add_node(box, latex=(visit_box, depart_box))
    app.add_post_transform(FigureConverter)
    app.connect("config-inited", configure)
    app.connect("doctree-resolved", arrange, priority=900)  # when all else is resolved
    return {"parallel_read_safe": False, "version": "1"}
