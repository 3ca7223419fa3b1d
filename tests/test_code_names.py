"""Names in code become links only where it is certain what they mean."""

import sys
from pathlib import Path

import pytest

import pgbook.advantages

sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_ext"))
from code_names import Names

IMPORT = "from pgbook.advantages import gae\nfrom pgbook.mdp import TabularMDP\n"
GAE = "pgbook.advantages.gae"


def found(code: str, before: str = IMPORT) -> list[tuple[str, str]]:
    """Text and full name of each name that is found in a piece of code."""
    names = Names([before, code]).found_in(code)
    return [
        (code[offset : offset + len(name.rsplit(".", 1)[1])], name)
        for offset, (name, _) in names.items()
    ]


@pytest.mark.parametrize(
    "code, name",
    [
        ("x = gae(1)", GAE),
        ("x = 'ημ'; y = gae(x)", GAE),
        ("f = lambda x: gae(x)", GAE),
        ("import pgbook\npgbook.advantages.gae(1)", GAE),
        ("from pgbook import advantages\nadvantages.gae(1)", GAE),
        ("TabularMDP(1).values(2)", "pgbook.mdp.TabularMDP.values"),
        ("game = TabularMDP(1)\ngame.values(2)", "pgbook.mdp.TabularMDP.values"),
        (
            "from pgbook.environments import two_step\ntwo_step().values(2)",
            "pgbook.mdp.TabularMDP.values",
        ),
        ("game = TabularMDP(1)\ngame.ending", "pgbook.mdp.TabularMDP.ending"),
    ],
)
def test_a_name_of_the_package_is_found_where_it_stands(code, name):
    assert (name.rsplit(".", 1)[1], name) in found(code)


@pytest.mark.parametrize(
    "code",
    [
        "gae = 1\nprint(gae)",
        "def gae(x):\n    return x\ngae(1)",
        "from elsewhere import gae\ngae(1)",
        "for gae in (1, 2):\n    print(gae)",
        "def f(gae):\n    return gae",
        "def f(x):\n    gae = x\n    return gae",
        "f = lambda gae: gae",
        "x = [gae for gae in (1, 2)]",
        "x.gae(1)",
        "game = TabularMDP(1)\ngame = other\ngame.values(2)",
        "def f(game):\n    return game.values(2)\ngame = TabularMDP(1)",
        "for game in ():\n    game.values(2)",
    ],
)
def test_a_name_that_may_mean_something_else_is_not(code):
    assert {name for _, name in found(code)} <= {"pgbook.mdp.TabularMDP"}


def test_a_name_that_is_hidden_in_one_function_is_found_in_another():
    code = "def f(gae):\n    return gae\ndef g(x):\n    return gae(x)"
    assert found(code) == [("gae", GAE)]
    assert list(Names([IMPORT, code]).found_in(code)) == [code.rindex("gae")]


def test_imports_lead_to_the_module_and_to_each_name():
    names = Names([IMPORT]).found_in(IMPORT)
    assert [name for name, _ in names.values()] == [
        "pgbook.advantages",
        GAE,
        "pgbook.mdp",
        "pgbook.mdp.TabularMDP",
    ]
    assert {role for _, role in names.values()} == {"import"}


def test_a_file_of_the_package_knows_its_own_functions():
    source = Path(pgbook.advantages.__file__).read_text("utf8")
    names = Names([source], pgbook.advantages)
    code = "def fast_gae(x):\n    return gae(x)\n"
    assert list(names.found_in(code).values()) == [
        ("pgbook.advantages.fast_gae", "definition"),
        (GAE, "use"),
    ]
    method = "    def td_errors(self):\n        return gae(self)\n"
    assert names.found_in(method) == {method.index("gae"): (GAE, "use")}


def test_private_names_are_left_out():
    assert found("require(x)", "from pgbook._checks import require\n") == []
