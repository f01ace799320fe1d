"""Finds the benches: a bench is one module of this folder with `measure() -> Iterable[Row]`.

Nothing else is to be edited. Each runs in a process of its own, so that it sees its own memory
alone; the first line of its docstring is the title of its table.
"""

import pkgutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from types import ModuleType
from typing import TypeAlias

from tests import bench
from tests.bench.row import Row

Measure: TypeAlias = Callable[[], Iterable[Row]]


def names() -> list[str]:
    """Return the benches there are: the modules that define `measure`."""
    modules = sorted(module.name for module in pkgutil.iter_modules(bench.__path__))
    return [name for name in modules if name != "__main__" and hasattr(_module(name), "measure")]


def title(name: str) -> str:
    """Return what a bench says of itself."""
    return (_module(name).__doc__ or name).splitlines()[0]


def rows(name: str) -> list[Row]:
    """Run a bench in this process."""
    measure: Measure = _module(name).measure
    return list(measure())


def in_own_process(name: str) -> list[Row]:
    """Run a bench in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(rows, name).result()


def _module(name: str) -> ModuleType:
    return import_module(f"{bench.__name__}.{name}")
