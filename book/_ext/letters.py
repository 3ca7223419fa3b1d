"""Numbers on pages that have none: (P.7) is the seventh equation of `prerequisites`."""

from pathlib import PurePosixPath

from sphinx.errors import ExtensionError


def number_by_letters(app, env):
    """Give what is numbered there the first letter of the page's file."""
    owners = {}
    for page, kinds in env.toc_fignumbers.items():
        if any(kinds.values()) and not env.toc_secnumbers.get(page, {}).get(""):
            letter = PurePosixPath(page).name[0].upper()
            if owners.setdefault(letter, page) != page:
                raise ExtensionError(f"{owners[letter]}, {page}: both number by letter")
            for numbers in kinds.values():
                counted = enumerate(numbers, 1)
                numbers.update({name: (letter, count) for count, name in counted})
    return []


def setup(app):
    """Listen after Sphinx has numbered."""
    app.connect("env-get-updated", number_by_letters, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
