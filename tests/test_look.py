"""Pages and figures share one palette and one typeface, readable light and dark."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ft2font import FT2Font

from pgbook import plotting

ROOT = Path(__file__).parents[1]
CSS = (ROOT / "book" / "_static" / "book.css").read_text("utf8")
WHITE = (1.0, 1.0, 1.0)
NAMES = ("BLUE", "ORANGE", "GREEN", "PURPLE", "SKY", "YELLOW", "BLACK", "GRAY")
TEXT = ("BLUE", "ORANGE", "GREEN", "PURPLE", "BLACK", "GRAY")
TURN = [[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]]
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
# Machado, Oliveira and Fernandes (2009): no red, green or blue cones.
EYES = {
    "all cones": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
of_grounds = pytest.mark.parametrize("shown", ["light", "dark"])


def in_the_dark(color):
    """What the filter of the pages makes of a color: inverted, its hue turned back."""
    amount = float(re.search(r"invert\((.*?)\) hue-rotate\(180deg\)", CSS)[1])
    return np.clip(TURN @ (amount + (1 - 2 * amount) * np.array(to_rgb(color))), 0, 1)


def seen(color, shown):
    return np.array(to_rgb(color)) if shown == "light" else in_the_dark(color)


def linear(color):
    color = np.asarray(color)
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Ratio of luminances, as WCAG 2.2 has it."""
    low, high = sorted(linear(c) @ TO_XYZ[1] + 0.05 for c in (one, other))
    return high / low


def lab(light):
    """CIELAB of linear light."""
    x, y, z = (np.cbrt(TO_XYZ @ light / [0.9505, 1, 1.089]) + [0, 0, 0]).tolist()
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def variables(theme):
    """The colors that the stylesheet names for a theme."""
    selector = ":root {" if theme == "light" else 'html[data-theme="dark"] {'
    block = CSS[CSS.index(selector) :].split("}")[0]
    return dict(re.findall(r"--(\w+): (#\w{6});", block))


def test_pages_have_the_colors_of_the_figures():
    colors = variables("light")
    for name in ("BLUE", "ORANGE", "GREEN", "PURPLE", "GRAY"):
        assert colors[name.lower()] == getattr(plotting, name).lower()
    assert colors["ink"] == plotting.BLACK and colors["ground"] == "#ffffff"


def test_dark_pages_have_the_colors_of_inverted_figures():
    light, dark = variables("light"), variables("dark")
    for name in ("blue", "orange", "green", "purple", "gray", "ink", "ground"):
        assert dark[name] == to_hex(in_the_dark(light[name])), name


@of_grounds
@pytest.mark.parametrize("name", NAMES)
def test_colors_can_be_told_from_the_ground(name, shown):
    needed = 4.5 if name in TEXT else 3
    color, ground = (seen(c, shown) for c in (getattr(plotting, name), WHITE))
    assert contrast(color, ground) >= needed


@of_grounds
@pytest.mark.parametrize("eye", EYES)
def test_lines_can_be_told_apart_by_every_eye(eye, shown):
    light = {c: EYES[eye] @ linear(seen(c, shown)) for c in plotting.COLORS}
    colors = {c: lab(np.clip(x, 0, 1)) for c, x in light.items()}
    for one, other in itertools.combinations(colors, 2):
        assert np.linalg.norm(colors[one] - colors[other]) >= 10, (one, other)


def test_figures_and_pages_have_one_typeface():
    assert FT2Font(plotting.FONT).family_name == "Literata"
    assert '--text: "Literata"' in CSS


def test_fonts_of_the_pages_are_small():
    files = re.findall(r'url\("(fonts/.*?)"\)', CSS)
    sizes = [(ROOT / "book" / "_static" / name).stat().st_size for name in files]
    assert max(sizes) < 25_000 and sum(sizes) < 80_000


def figures():
    """Width in inches and size of the type, in points, of what a chapter draws."""
    for page in sorted((ROOT / "book").glob("[!_]*.md")):
        for cell in re.findall(r"```{code-cell}.*?```", page.read_text("utf8"), re.S):
            width = re.search(r"figsize=\(([\d.]+)", cell)
            sizes = [float(size) for size in re.findall(r"fontsize=([\d.]+)", cell)]
            if width or sizes:
                yield page.stem, float(width[1]) if width else 5.6, sizes


def test_the_type_of_figures_is_legible_at_360_pixels():
    column = 360 - 2 * 16
    for stem, width, sizes in figures():
        for size in [11.5, *sizes]:
            pixels = size * 4 / 3 * min(1, column / (96 * width))
            assert pixels >= 8.7, f"{stem}: {pixels:.1f} pixels"
