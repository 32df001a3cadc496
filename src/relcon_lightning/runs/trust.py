"""Networks of other packages: built from a checkpoint only if the user trusts their package.

A checkpoint names the class of its network. Building a name from a file of unknown origin would run code that the
file chose, so only networks of this package are built by default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from hydra.utils import get_object

from relcon_lightning.errors import ConfigError

_trusted: set[str] = set()


def trust(packages: Iterable[str]) -> None:
    """Set the packages whose networks this process may build, in addition to those of this package.

    Args:
        packages: Names of packages or modules that can be imported; an empty list trusts none.

    Raises:
        ConfigError: A name is not that of a package, or belongs to the standard library.
    """
    if not isinstance(packages, Iterable):
        raise ConfigError(f"trust={packages}: expected a list of names of packages, such as trust=[mypackage].")
    names = {str(name) for name in packages}
    for name in sorted(names):
        if not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(
                f"trust={name}: expected names of packages that can be imported, such as trust=[mypackage]."
            )
        if name.split(".")[0] in {*sys.stdlib_module_names, "builtins", "__main__"}:
            raise ConfigError(f"trust={name} is part of Python and holds no networks: name your own package.")
    _trusted.clear()
    _trusted.update(names)


def is_trusted(target: str) -> bool:
    """True if a ``_target_`` names something that a trusted package itself defines.

    A name that leads through a trusted package to another one (``mypackage.os.system``) is not trusted.

    Raises:
        ConfigError: The package is trusted, but cannot be imported or has no such name.
    """
    package = next((name for name in _trusted if target.startswith(f"{name}.")), None)
    if package is None:
        return False
    try:
        defined = str(getattr(get_object(target), "__module__", ""))
    except Exception as error:  # an import runs code of the package, which can raise any error
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{target} cannot be imported ({why}). Is its folder in PYTHONPATH?") from error
    return f"{defined}.".startswith(f"{package}.")


def foreign_networks(config: Any) -> list[str]:
    """Names of networks in a part of a configuration that need ``trust``: each ``_target_`` outside this package."""
    if isinstance(config, dict):
        target = str(config.get("_target_", "relcon_lightning."))
        own = [] if target.startswith(("relcon_lightning.", "torch.")) else [target]
        return own + foreign_networks(list(config.values()))
    if isinstance(config, list):
        return [name for value in config for name in foreign_networks(value)]
    return []
