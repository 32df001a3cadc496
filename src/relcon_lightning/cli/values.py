"""Check the values of a configuration: numbers are finite, and each value has a type that its argument accepts."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from relcon_lightning.errors import ConfigError

_SCALARS: Mapping[type, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("text", (str, int, float)),  # a name can look like a number
    Path: ("a path", (str, int, float)),
    NoneType: ("null", (NoneType,)),
}
_TARGET = "_target_"


def check_finite(config: DictConfig) -> None:
    """Check that no number of a configuration is NaN, and that infinity only occurs in lists of alternatives.

    Raises:
        ConfigError: A number is infinite or NaN.
    """
    for key, value in _leaves(config):
        if isinstance(value, float) and not math.isfinite(value) and (math.isnan(value) or not key.endswith("]")):
            raise ConfigError(f"{key}={value}: expected a finite number.")


def check_types(config: DictConfig, unused: Collection[str] = ()) -> None:
    """Check that classes and functions of a configuration get values of the types that their arguments accept.

    Arguments without a type, and types that a value of a configuration cannot have, are not checked.

    Args:
        config: Composed configuration.
        unused: Keys of objects that the command does not create.

    Raises:
        ConfigError: A value has another type. The message names its key and says what is expected.
    """
    for node in _objects(config):
        if node._get_full_key(None) in unused:
            continue
        for name, hint in _hints(str(node.get(_TARGET))).items():
            if name not in node:
                continue
            try:
                value = node[name]
            except OmegaConfBaseException:  # it is missing; reading it later reports this
                continue
            if isinstance(value, DictConfig) or (isinstance(value, ListConfig) and any(_objects(value))):
                continue
            value = list(value) if isinstance(value, ListConfig) else value
            if not accepts(hint, value):
                raise ConfigError(f"{_key(node, name)}={_shown(value)}: expected {_expected(hint)}.")


def accepts(hint: Any, value: Any) -> bool:
    """True if a plain value (number, text, None, or list of these) can be passed to an argument with this type hint.

    A list is accepted where a sequence or tuple is expected, and a whole number where a number is.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(accepts(one, value) for one in args)
    if origin is Literal:
        return value in args
    if hint in _SCALARS or hint is None:
        kinds = _SCALARS[NoneType if hint is None else hint][1]
        return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    sequence = (isinstance(origin, type) and issubclass(origin, (list, tuple))) or getattr(
        origin, "__name__", ""
    ) in _MANY
    if not sequence:
        return not _is_class(hint) or value is None or isinstance(value, (hint, list))
    if not isinstance(value, list):
        return isinstance(value, str) and any(one in (str, Any) for one in args)
    if origin is tuple and Ellipsis not in args:
        return len(value) == len(args) and all(map(accepts, args, value))
    return not args or all(accepts(args[0], one) for one in value)


def _is_class(hint: Any) -> bool:
    """True for a class, such as a network, of which a number or text is no instance."""
    if not isinstance(hint, type) or hint is Any or getattr(hint, "_is_protocol", False):
        return False
    return not issubclass(hint, os.PathLike)


_MANY = ("Sequence", "Iterable", "Collection", "Set", "set", "frozenset")


def _objects(config: Any) -> Iterator[DictConfig]:
    """Nodes that describe an object, wherever they are, without Hydra's own settings."""
    if isinstance(config, DictConfig) and isinstance(config.get(_TARGET), str):
        yield config
    for _, one in _children(config):
        yield from _objects(one)


def _leaves(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values as given, without those that refer to other keys."""
    if not isinstance(config, DictConfig | ListConfig):
        yield key, config
    for name, one in _children(config):
        yield from _leaves(one, f"{key}{name}".removeprefix("."))


def _children(config: Any) -> Iterator[tuple[str, Any]]:
    """Parts of a node with the ends of their keys, without references, missing values and Hydra's own settings."""
    if isinstance(config, ListConfig):
        yield from ((f"[{i}]", config[i]) for i in range(len(config)) if _is_given(config, i))
    elif isinstance(config, DictConfig):
        names = [str(name) for name in config if name != "hydra"]
        yield from ((f".{name}", config[name]) for name in names if _is_given(config, name))


def _is_given(config: DictConfig | ListConfig, name: str | int) -> bool:
    return not (OmegaConf.is_interpolation(config, name) or OmegaConf.is_missing(config, name))


def _hints(target: str) -> dict[str, Any]:
    """Types of the arguments of a class or function by name; without those that cannot be determined."""
    try:
        found = get_object(target)
    except Exception:  # instantiating it reports what is wrong
        return {}
    functions: list[Callable[..., Any]] = [found]
    if isinstance(found, type):
        functions = [vars(base)["__init__"] for base in found.__mro__ if "__init__" in vars(base)]
    hints: dict[str, Any] = {}
    for function in functions:
        try:
            own, parameters = get_type_hints(function), inspect.signature(function).parameters
        except (NameError, TypeError, ValueError):
            return hints
        for name, parameter in parameters.items():
            if name in own and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                hints.setdefault(name, own[name] | None if parameter.default is None else own[name])
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return hints


def _key(node: DictConfig, name: str) -> str:
    """The key that a user sets: the one that this value refers to, if it is a reference."""
    key = node._get_full_key(name)
    raw = str(OmegaConf.to_container(node, resolve=False).get(name))  # type: ignore[union-attr]
    if raw.startswith("${") and raw.endswith("}") and ":" not in raw and not raw.startswith("${."):
        return raw[2:-1]
    return str(key)


def _expected(hint: Any) -> str:
    """What an argument accepts, in words."""
    args = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        plain = [one for one in args if not _is_class(one) or one in _SCALARS]
        return " or ".join(dict.fromkeys(_expected(one) for one in plain or args))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, args))
    if hint in _SCALARS:
        return _SCALARS[hint][0]
    if get_origin(hint) is tuple and Ellipsis not in args:
        return f"a list of {len(args)} values"
    return f"a {hint.__name__}" if isinstance(hint, type) and not args else "a list"


def _shown(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
