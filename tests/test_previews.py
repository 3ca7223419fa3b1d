"""Each page gets a script with what other pages refer to, and nothing else."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_ext"))
from previews import write_previews

THERE = """<html><body><article><section id="chapter"><span id="ch-there"></span>
<h1>There</h1><p>First.</p><p>Second.</p>
<div class="verified"><div class="math" id="eq-a">a</div></div>
<div class="math" id="eq-b">b</div><p id="unused">c</p>
<dl class="py"><dt id="f">f(<dl><dd>x</dd></dl>)</dt><dd>What f does.</dd></dl>
</section></article></body></html>"""


def previews(tmp_path: Path, *links: str) -> str:
    """What the script beside `there.html` holds when `here.html` has some links."""
    (tmp_path / "book").mkdir()
    here = "".join(f'<a class="reference internal" href="{url}">x</a>' for url in links)
    pages = {"here": f"<article>{here}</article>", "there": THERE}
    for name, page in pages.items():
        (tmp_path / "book" / f"{name}.html").write_text(page, "utf8")
    write_previews(
        SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path), None
    )
    script = tmp_path / "book" / "there.previews.js"
    text = script.read_text("utf8") if script.exists() else 'previews = "";\n'
    assert not (tmp_path / "book" / "here.previews.js").exists()
    return json.loads(text.removeprefix("previews = ").removesuffix(";\n"))


def test_a_block_is_written_once_for_all_who_refer_to_it(tmp_path):
    written = previews(tmp_path, "there.html#eq-a", "there.html#eq-a")
    assert written == (
        '<div class="verified"><div class="math" id="eq-a">a</div></div>'
    )


def test_of_a_chapter_the_beginning_is_written(tmp_path):
    written = previews(tmp_path, "there.html#ch-there")
    assert "There" in written and "First." in written
    assert 'id="ch-there"' in written and 'id="chapter"' in written
    assert "Second." not in written


def test_a_signature_in_several_lines_stays_whole(tmp_path):
    written = previews(tmp_path, "there.html#f")
    assert written.startswith("<dl") and "What f does." in written


def test_where_nothing_is_referred_to_nothing_is_written(tmp_path):
    assert previews(tmp_path, "there.html", "#here", "there.html#missing") == ""
