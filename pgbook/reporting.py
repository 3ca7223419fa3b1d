"""Numbers on their way into the prose of a chapter: `report` is the only one."""

import re
import sys

HYPHEN = re.compile(r"(?<![\w-])-(?=[\d∞])|(?<=\de)-(?=\d)")


def report(key: str, value: float, spec: str = "") -> None:
    """Print a number, and keep the printed text for the prose under its key.

    A sentence shows it with the role ``glue:text``, so the page and the notebook
    say the same, in the same digits.

    Args:
        key: name of the number, unique on its page.
        value: the number, or a text.
        spec: format specification, as in `format(value, spec)`.
    """
    text = format(value, spec)
    print(f"{key}: {text}")
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import display

        prefix = "application/papermill.record/"  # the form that myst-nb reads
        metadata = {"scrapbook": {"name": key, "mime_prefix": prefix}}
        display({f"{prefix}text/plain": repr(text)}, raw=True, metadata=metadata)


def with_minus(text: str) -> str:
    """Write numbers with a minus in place of the hyphen that `format` gives them.

    A screen reader says "minus" for the one and passes over the other.

    Args:
        text: words and numbers, as in "from -5 to 1e-10".

    Returns:
        The same words; hyphens between words or figures, as in 1-3, stay.
    """
    return HYPHEN.sub("\N{MINUS SIGN}", text)
