"""Finds plug-ins: every module of a package holds one constant named SPEC."""

import importlib
import pkgutil
from types import ModuleType
from typing import Protocol, TypeVar

from exporter.shared.errors import RunbookdError


class Spec(Protocol):
    """What every plug-in's SPEC has at least."""

    @property
    def name(self) -> str:
        """The plug-in's name, as users write it."""
        ...


S = TypeVar("S", bound=Spec)


def discover(package: ModuleType, spec_type: type[S]) -> dict[str, S]:
    """Import every module of `package` and return its SPECs by name, sorted by name.

    Raises RunbookdError when a module has no SPEC of `spec_type`, when its name is not the
    module's, or when two modules claim one name.
    """
    found: dict[str, S] = {}
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        spec = getattr(module, "SPEC", None)
        if not isinstance(spec, spec_type):
            raise RunbookdError(f"{module.__name__} has no SPEC of type {spec_type.__name__}")
        if spec.name != module_info.name:
            raise RunbookdError(f"{module.__name__} calls itself {spec.name!r}")
        found[spec.name] = spec
    return found
