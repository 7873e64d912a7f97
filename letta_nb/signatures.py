"""The arguments of a function: described to a model as JSON schema, and read from the JSON that it sends."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NotRequired, Optional, cast, get_origin

from letta_nb.errors import InputError

# memgpt-style servers add these to every tool, and some send them on
ADDED: tuple[str, ...] = ("request_heartbeat", "inner_thoughts", "thinking")
TOLD_ERRORS = 5
TOLD_VALUE = 80

_UNDESCRIBED = {
    inspect.Parameter.POSITIONAL_ONLY: "an agent gives arguments by name: remove the `/`",
    inspect.Parameter.VAR_POSITIONAL: "an agent gives arguments by name: take a list instead",
    inspect.Parameter.VAR_KEYWORD: "an agent has to know the names: list the arguments, or take a dict",
}
# what a docstring says beside its arguments, and how it is told
_SECTIONS = {"text": "", "returns": "Returns: ", "admonition": "", "examples": "Examples:\n"}


class InvalidArguments(ValueError):
    """What an agent sent does not fit the function; the words are for the agent."""


class Arguments:
    """The arguments of one function: their `schema`, and how to read them."""

    def __init__(self, name: str, function: Callable[..., Any], docs: dict[str, str]) -> None:
        self.signature = _signature(name, function)
        self.names = list(self.signature.parameters)
        hints = {key: _hint(parameter) for key, parameter in self.signature.parameters.items()}
        self._adapter, schema = _adapted(name, function, hints, self._optional())
        self.schema = self._completed(schema, docs)

    def read(self, text: str) -> dict[str, Any]:
        """The values to call the function with; raises InvalidArguments."""
        from pydantic import ValidationError

        # half a surrogate pair is no JSON either: let the parser say so
        data = text.strip().encode("utf-8", "surrogatepass")
        try:
            values = self._adapter.validate_json(b"{}" if data in (b"", b"null") else data)
        except ValidationError as error:
            raise InvalidArguments(self._words(error)) from None
        return {name: value for name, value in values.items() if name in self.names}

    def _optional(self) -> set[str]:
        parameters = self.signature.parameters.items()
        return {name for name, parameter in parameters if parameter.default is not inspect.Parameter.empty}

    def _completed(self, schema: dict[str, Any], docs: dict[str, str]) -> dict[str, Any]:
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        properties = {name: told for name, told in schema["properties"].items() if name not in self._added()}
        for name in properties.keys() & docs.keys():
            properties[name].setdefault("description", docs[name])
        for name in properties.keys() & self._optional():
            try:
                default = to_jsonable_python(self.signature.parameters[name].default)
            # an object that stands for "not given" is no business of the agent's
            except PydanticSerializationError:
                continue
            properties[name].setdefault("default", default)
        # servers look these up without asking
        return {"type": "object", "required": [], **schema, "properties": properties}

    def _added(self) -> set[str]:
        return set(ADDED) - set(self.names)

    def _words(self, error: Any) -> str:
        details = error.errors(include_url=False, include_context=False)
        told = [self._word(detail) for detail in details[:TOLD_ERRORS]]
        more = len(details) - len(told)
        return "; ".join([*told, f"and {more} more"] if more else told)

    def _word(self, detail: dict[str, Any]) -> str:
        place = ".".join(map(str, detail["loc"]))
        if detail["type"] == "missing":
            return f"{place} is missing"
        if detail["type"] == "extra_forbidden":
            known = f": it takes {', '.join(self.names)}" if self.names else ""
            return f"there is no argument {place}{known}" if len(detail["loc"]) == 1 else f"{place} is not known"
        if detail["type"] == "json_invalid":
            return detail["msg"]
        value = repr(detail["input"])
        given = value if len(value) <= TOLD_VALUE else f"{value[:TOLD_VALUE]}…"
        return f"{place or 'the arguments'}: {detail['msg']} (got {given})"


def described(function: Callable[..., Any]) -> tuple[str | None, dict[str, str]]:
    """What a docstring (Google, NumPy or Sphinx style) says of the function, and of each argument."""
    doc = inspect.getdoc(inspect.unwrap(function))
    if not doc or "\n" not in doc:
        return doc or None, {}
    from griffe import Docstring  # 0.3 s: only for those that have more than a line

    quiet = {"warnings": False}
    google = {**quiet, "returns_named_value": False, "returns_multiple_items": False}
    sections = Docstring(f"\n{doc}\n").parse(
        "auto", default="google", per_style_options=cast("Any", {"google": google, "numpy": quiet, "sphinx": quiet})
    )
    words = [_SECTIONS[kind] + _told(section) for section in sections if (kind := section.kind.value) in _SECTIONS]
    arguments = {
        each.name: each.description.strip()
        for section in sections
        if section.kind.value in ("parameters", "other parameters")
        for each in section.value
        if each.description.strip()
    }
    return "\n\n".join(filter(None, words)) or None, arguments


def _told(section: Any) -> str:
    match section.kind.value:
        case "text":
            return section.value.strip()
        case "admonition":
            return f"{section.title or section.value.kind.capitalize()}: {section.value.description.strip()}"
        case "examples":
            return "\n".join(text for _, text in section.value)
        case _:
            return "; ".join(each.description.strip() for each in section.value)


def _signature(name: str, function: Callable[..., Any]) -> inspect.Signature:
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        raise InputError(f"the signature of {name} cannot be read: {error}") from None
    for index, (argument, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind in _UNDESCRIBED:
            raise InputError(f"{name} cannot be a tool, because of {parameter}: {_UNDESCRIBED[parameter.kind]}")
        if not index and argument in ("self", "cls"):
            raise InputError(f"{name} cannot be a tool before it has its object: use letta_nb.tool(thing.{name})")
        if type(parameter.default).__module__ == "pydantic.fields":
            raise InputError(f"{name} cannot be a tool, because of {argument}: write Annotated[..., Field(...)]")
    return signature


def _hint(parameter: inspect.Parameter) -> Any:
    if parameter.annotation is inspect.Parameter.empty:
        return Any
    # `a: int = None` is often written, and models send null for it; an annotation need not be a class, so no `|`
    if parameter.default is None and get_origin(parameter.annotation) is not Annotated:
        return Optional[parameter.annotation]  # noqa: UP045
    return parameter.annotation


def _adapted(
    name: str, function: Callable[..., Any], hints: dict[str, Any], optional: set[str]
) -> tuple[Any, dict[str, Any]]:
    """The pydantic adapter that reads all arguments, and their schema."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
    from typing_extensions import TypedDict  # pydantic refuses that of `typing` before Python 3.12

    fields = {key: NotRequired[hint] if key in optional else hint for key, hint in hints.items()}
    fields |= {key: NotRequired[Any] for key in ADDED if key not in hints}
    made: Any = cast("Any", TypedDict)(name, fields)
    made.__doc__ = None
    # where names in annotations are looked up
    made.__module__ = function.__module__
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    try:
        adapter = TypeAdapter[Any](made)
        return adapter, _untitled(adapter.json_schema())
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name} cannot be a tool: {reason} "
            "Annotate each argument with what JSON can say: numbers, texts, lists, dicts, dataclasses, pydantic models."
        ) from None


def _untitled(schema: Any) -> Any:
    """The schema without the titles that pydantic makes from names; an argument may still be called `title`."""
    if isinstance(schema, list):
        return [_untitled(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", schema).items():
        if key in ("properties", "$defs"):
            kept[key] = {name: _untitled(item) for name, item in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            kept[key] = value
        elif key != "title":
            kept[key] = _untitled(value)
    return kept
