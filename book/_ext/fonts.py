"""Make the fonts of pages and figures: small subsets of Literata (OFL 1.1).

They lie in the repository; to make them again:

    npm pack @fontsource/literata@5.3.0 && tar xzf fontsource-literata-5.3.0.tgz
    pip install brotli
    python book/_ext/fonts.py package
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fontTools import merge, subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parents[2]
FACES = {"Regular": "400-normal", "Italic": "400-italic", "SemiBold": "600-normal"}
LATIN = [*range(0x20, 0x7F), *range(0xA0, 0x100), *map(ord, "–—‘’“”„•…−′″‹›↑↓")]
GREEK = range(0x391, 0x3CA)
FEATURES = ["kern", "liga", "mark", "ccmp", "tnum"]


def face(folder: Path, style: str) -> TTFont:
    """Latin and Greek letters of one style in one font, and nothing else."""
    with TemporaryDirectory() as scratch:
        parts = []
        for script in ("latin", "greek"):
            font = TTFont(folder / "files" / f"literata-{script}-{style}.woff2")
            font.flavor = None
            parts.append(f"{scratch}/{script}.ttf")
            font.save(parts[-1])
        font = merge.Merger().merge(parts)
    options = subset.Options(layout_features=FEATURES, hinting=False)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes={*LATIN, *GREEK})
    cutter.subset(font)
    return font


def main(folder: Path) -> None:
    """Write the fonts of the pages, that of the figures, and the license of both."""
    pages, figures = ROOT / "book" / "_static" / "fonts", ROOT / "pgbook" / "fonts"
    for name, style in FACES.items():
        font = face(folder, style)
        if name == "Regular":
            font.save(figures / "Literata-Regular.ttf")
        font.flavor = "woff2"
        font.save(pages / f"Literata-{name}.woff2")
    for target in (pages, figures):
        shutil.copy(folder / "LICENSE", target / "OFL.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
