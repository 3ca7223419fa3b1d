"""Every page with code as a notebook to download, and places that run it.

The notebook lies beside its page, `returns.ipynb` beside `returns.html`.
"""

from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from nbformat import v4
from plain_notebook import is_cell, plain_notebook
from sphinx.errors import ConfigError

INSTALL = 'pip install -e ".[book]" jupyterlab -c requirements.txt'
INTRODUCTION = """\
A page of {book}, by {author}.
Text: CC BY 4.0. Code: MIT.

To run it, clone {repository}, install the book's package there, once, with

    {install}

and open it with `jupyter lab`.
The numbers in the text are those of the book."""
CLONE = "policy-gradients"
FETCH = """\
try:
    import pgbook
except ModuleNotFoundError:  # as on Colab: fetch the book, and install its package
    !git clone --quiet --depth 1 {repository} {clone}
    %pip install --quiet -e "{clone}[book]"
    import sys
    sys.path.insert(0, "{clone}")"""
SITE = "gh-pages"  # the branch that holds the built pages
PLACES = {
    "Binder": "https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/{page}.md",
    "Colab": "https://colab.research.google.com/github/{name}/blob/{site}/{page}.ipynb",
}


def repository(app) -> str:
    """The address of the repository on GitHub, or nothing while it has none."""
    url = app.config.html_theme_options["repository_url"].rstrip("/")
    if url and urlsplit(url).netloc != "github.com":
        raise ConfigError(f"repository: url: {url}: Binder and Colab read from GitHub")
    return url


def head(app) -> list:
    """Cells that say where a notebook comes from, and install what it needs."""
    config, url = app.config, repository(app)
    book = f"*{config.html_title}*"
    text = INTRODUCTION.format(
        book=f"[{book}]({config.html_baseurl})" if config.html_baseurl else book,
        author=config.author,
        repository=f"[its repository]({url})" if url else "its repository",
        install=INSTALL,
    )
    fetch = [v4.new_code_cell(FETCH.format(repository=url, clone=CLONE))] if url else []
    return [v4.new_markdown_cell(text), *fetch]


def offer_notebook(app, pagename, templatename, context, document):
    """Write the notebook of a page with code, and lead to it from the header."""
    if document is None or not any(document.findall(is_cell)):
        return
    base = app.config.html_baseurl
    address = f"{base.rstrip('/')}/{pagename}.html" if base else ""
    notebook = plain_notebook(document, pagename, app.env, address, head(app))
    path = Path(app.outdir) / f"{pagename}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    for button in context["header_buttons"]:
        if button["label"] == "download-buttons":
            button["buttons"].insert(0, download_button(path.name))
    if repository(app):
        context["header_buttons"].append(launch_buttons(app, pagename))


def download_button(name: str) -> dict:
    """The notebook, beside the source of the page."""
    return {
        "type": "link",
        "url": name,
        "text": ".ipynb",
        "icon": "fas fa-code",
        "tooltip": "Download as a notebook",
        "label": "download-notebook-button",
    }


def launch_buttons(app, page: str) -> dict:
    """Binder opens the source in the repository, Colab the notebook of the site."""
    fields = {
        "name": urlsplit(repository(app)).path.strip("/"),
        "branch": app.config.html_theme_options["repository_branch"],
        "site": SITE,
        "page": page,
    }
    buttons = [
        {"type": "link", "text": place, "url": url.format(**fields)}
        for place, url in PLACES.items()
    ]
    return {
        "type": "group",
        "tooltip": "Run this page",
        "icon": "fas fa-rocket",
        "buttons": buttons,
        "label": "launch-buttons",
    }


def setup(app):
    """Add the links after the theme has made its buttons."""
    app.connect("html-page-context", offer_notebook, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
