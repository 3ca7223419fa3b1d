"""Buttons of the theme that this book has no use for."""

UNWANTED = {"download-pdf-button"}  # prints one page; `make pdf` makes the book


def drop_buttons(app, pagename, templatename, context, doctree):
    """Take unwanted buttons out of the menus of the header."""
    for menu in context["header_buttons"]:
        if "buttons" in menu:
            buttons = [b for b in menu["buttons"] if b.get("label") not in UNWANTED]
            menu["buttons"] = buttons


def setup(app):
    """Run after the theme has filled the header."""
    app.connect("html-page-context", drop_buttons, priority=900)
    return {"parallel_read_safe": True, "version": "1"}
