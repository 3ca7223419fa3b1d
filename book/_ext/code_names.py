"""Which names in a piece of code are objects of the package: only where it is certain.

A name counts if it was imported from `pgbook` in the same page or file and nothing else
in its scope is called so; an attribute counts if its owner does, or if its owner is the
result of a call whose class the package states.
"""

import ast
import inspect
import typing
from importlib import import_module
from itertools import accumulate
from types import ModuleType

PACKAGE = "pgbook"
SCOPES = (
    ast.FunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def full_name(thing) -> str:
    """The module of an object and its name there, whatever it was imported as."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    thing = getattr(thing, "fget", None) or getattr(thing, "__func__", thing)
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def ours(thing) -> bool:
    """Whether an object belongs to the public part of the package."""
    return full_name(thing).startswith(f"{PACKAGE}.") and "._" not in full_name(thing)


def is_of_package(node) -> bool:
    """Whether a node is `from pgbook… import …`."""
    return isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("pgbook.")


def bound(tree) -> list[str]:
    """Every name that is bound in the scope of a tree, but not from the package."""
    names, nodes = [], list(ast.iter_child_nodes(tree))
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom) and not is_of_package(node):
            aliases = (alias.asname or alias.name for alias in node.names)
            names += [name for name in aliases if name != PACKAGE]
        if not isinstance(node, SCOPES):
            nodes += ast.iter_child_nodes(node)
    return names


class Names:
    """What the names of a page, or of a file of the package, stand for."""

    def __init__(self, code: list[str], module: ModuleType | None = None):
        """Read all pieces of code; `module` is the package's own, if it is one."""
        tree = ast.Module([s for text in code for s in ast.parse(text).body], [])
        taken = bound(tree)
        self.things, self.classes = {PACKAGE: import_module(PACKAGE)}, {}
        for node in filter(is_of_package, ast.walk(tree)):
            self.things |= {name: thing for name, thing, _ in self._imported(node)}
        self.things = {n: t for n, t in self.things.items() if n not in taken}
        for node in tree.body:
            if module and isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.things[node.name] = getattr(module, node.name)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if taken.count(name) == 1:
                    self.classes[name] = self._class_of(node.value, frozenset())

    @staticmethod
    def _imported(node):
        """Name, object and place of each import from the package."""
        for alias in node.names:
            thing = getattr(import_module(node.module), alias.name, None)
            yield alias.asname or alias.name, thing, alias

    def _thing(self, node, hidden):
        """The object that an expression names; None if that is not certain."""
        if isinstance(node, ast.Name) and node.id not in hidden:
            return self.things.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._thing(node.value, hidden) or self._class_of(
                node.value, hidden
            )
            return owner and inspect.getattr_static(owner, node.attr, None)
        return None

    def _class_of(self, node, hidden):
        """The class of the value of an expression; None if that is not certain."""
        if isinstance(node, ast.Name) and node.id not in hidden:
            return self.classes.get(node.id)
        called = self._thing(node.func, hidden) if isinstance(node, ast.Call) else None
        if called is None or not ours(called):
            return None
        if inspect.isclass(called):
            return called
        returned = typing.get_type_hints(called).get("return")
        return returned if inspect.isclass(returned) else None

    def _places(self, node, hidden):
        """Line, column in bytes, object and role of every name in a tree."""
        if isinstance(node, ast.Name):
            yield node.lineno, node.col_offset, self._thing(node, hidden), "use"
        elif isinstance(node, ast.Attribute):
            column = node.end_col_offset - len(node.attr.encode())
            yield node.end_lineno, column, self._thing(node, hidden), "use"
        elif is_of_package(node):
            column = node.col_offset + len("from ")
            yield node.lineno, column, import_module(node.module), "import"
            for name, thing, alias in self._imported(node):
                if name in self.things:
                    yield alias.lineno, alias.col_offset, thing, "import"
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.col_offset:
            keyword = "def " if isinstance(node, ast.FunctionDef) else "class "
            yield node.lineno, len(keyword), self.things.get(node.name), "definition"
        if isinstance(node, SCOPES):
            hidden = hidden | set(bound(node))
        for child in ast.iter_child_nodes(node):
            yield from self._places(child, hidden)

    def found_in(self, code: str) -> dict[int, tuple[str, str]]:
        """By offset in the code: the full name of an object of the package, its role.

        The role is "import", "use" or "definition".
        """
        inside = "if True:\n" if code[:1].isspace() else ""  # a method, taken alone
        lines = f"{inside}{code}".splitlines(keepends=True)
        starts = [0, *accumulate(map(len, lines))]
        tree, found = ast.parse("".join(lines)), {}
        for line, column, thing, role in self._places(tree, frozenset()):
            if thing is not None and ours(thing):
                before = lines[line - 1].encode()[:column].decode()
                offset = starts[line - 1] + len(before) - len(inside)
                found[offset] = full_name(thing), role
        return found
