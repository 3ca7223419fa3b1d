"""The menus of the header, and the page that stands in front of the cover."""

from pathlib import Path

UNWANTED = {"download-pdf-button"}  # prints one page; `make pdf` makes the book

FRONT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="_static/mark.svg">
<meta http-equiv="refresh" content="0; url={cover}">
<a href="{cover}">{title}</a>
"""


def drop_buttons(app, pagename, templatename, context, doctree):
    """Take unwanted buttons out of the menus of the header."""
    for menu in context["header_buttons"]:
        if "buttons" in menu:
            buttons = [b for b in menu["buttons"] if b.get("label") not in UNWANTED]
            menu["buttons"] = buttons


def write_front(app, exception):
    """Lead who opens the folder of the book to its cover."""
    if exception is None and app.builder.format == "html":
        cover = f"{app.config.master_doc}.html"
        front = FRONT.format(title=app.config.html_title, cover=cover)
        (Path(app.outdir) / "index.html").write_text(front, "utf8")


def setup(app):
    """Run after the theme has filled the header, and when all pages are written."""
    app.connect("build-finished", write_front)
    app.connect("html-page-context", drop_buttons, priority=900)
    return {"parallel_read_safe": True, "version": "1"}
