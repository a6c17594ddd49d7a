"""The source files of ours that a model version carries: those its loader reaches by import, and no more.

They travel as a package of their own name, which tells their content: a program that has a package ``core`` already, or loads
versions of different ages, gets for each the code that it was published with.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGE = "core"
_IMPORT = re.compile(rf"^(\s*(?:from|import)\s+){_PACKAGE}\b", re.MULTILINE)


def stage_code(loader: str, folder: Path) -> tuple[str, set[str]]:
    """Write module ``loader`` and each module of ours that it reaches into one package in the new folder ``folder``.

    Returns the loader's name in there, and the foreign modules that the package imports.
    """
    files, foreign = _reach(loader)
    texts = {file: (_ROOT / file).read_text(encoding="utf-8") for file in files}
    digest = hashlib.sha256("\0".join(f"{file}\0{text}" for file, text in sorted(texts.items())).encode()).hexdigest()
    package = f"maas_model_{digest[:12]}"
    for file, text in texts.items():
        path = folder / package / file.relative_to(_PACKAGE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_IMPORT.sub(rf"\1{package}", text), encoding="utf-8")
    return package + loader.removeprefix(_PACKAGE), foreign


def requirements(modules: set[str]) -> list[str]:
    """The distributions that provide ``modules``, pinned to what is installed here."""
    homes = importlib.metadata.packages_distributions()
    # several may share a module's folder: the one of its name is the whole
    names = {module if module in homes[module] else homes[module][0] for module in modules}
    return sorted(f"{name.lower()}=={importlib.metadata.version(name)}" for name in names)


def _reach(loader: str) -> tuple[set[Path], set[str]]:
    """Our files that ``loader`` needs, relative to the project, and the foreign modules that they import."""
    pending, taken, foreign = [loader], set[Path](), set[str]()
    while pending:
        name = pending.pop()
        file = _file(name)
        if name.partition(".")[0] != _PACKAGE:
            foreign.add(name.partition(".")[0])
        elif file is not None and file not in taken:
            taken.add(file)
            pending.extend(_imports(_ROOT / file))
            pending.extend([name.rpartition(".")[0]] if "." in name else [])  # the package that it is in
    return taken, foreign - set(sys.stdlib_module_names)


def _imports(file: Path) -> Iterator[str]:
    """Full names of what a file imports, wherever in it; ``from a import b`` gives both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """The file of one of our modules, relative to the project; None for a name that is no module."""
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (_ROOT / candidate).is_file():
            return candidate
    return None
