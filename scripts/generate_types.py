"""letta_nb/page.py -> JSON schema -> js/src/page.gen.ts: what the kernel and the page say to each other, written once.

`--check` changes nothing and fails if the file is not what it would be.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from letta_nb import page

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "js/src/page.gen.ts"
HEAD = "// Generated from letta_nb/page.py by scripts/generate_types.py; `make js` writes it anew. Do not edit.\n"
WIDTH = 100
Schema = dict[str, Any]


class Source:
    """What JSON schema does not keep of page.py: the order of its definitions and the comments beside them."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        tree = ast.parse(text)
        self.intro = ast.get_docstring(tree) or ""
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self.names = [
            node.name if isinstance(node, ast.ClassDef) else node.targets[0].id
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name))
        ]

    def docstring(self, name: str) -> str:
        return ast.get_docstring(self.classes[name]) or ""

    def comments(self, name: str) -> dict[str, str]:
        """The comment lines above each field of a class."""
        found: dict[str, str] = {}
        for node in self.classes[name].body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                first = last = node.lineno - 1
                while self.lines[first - 1].strip().startswith("#"):
                    first -= 1
                found[node.target.id] = "\n".join(line.strip("# ") for line in self.lines[first:last])
        return found


class Types:
    """Schemas of all names in page.py, and how each is written in TypeScript."""

    def __init__(self, names: list[str]) -> None:
        self.schemas = {name: schema_of(name) for name in names}
        # a plain alias leaves no name in a schema: know it again by what it is
        self.aliases = {
            json.dumps(schema, sort_keys=True): name
            for name, schema in self.schemas.items()
            if "properties" not in schema
        }

    def written(self, schema: Schema) -> str:
        schema = {key: value for key, value in schema.items() if key not in ("title", "description", "default")}
        return self.aliases.get(json.dumps(schema, sort_keys=True)) or " | ".join(self.members(schema))

    def members(self, schema: Schema) -> list[str]:
        """The members of a union; a single one for anything else."""
        if "$ref" in schema:
            return [schema["$ref"].rpartition("/")[2]]
        if "const" in schema:
            return [json.dumps(schema["const"])]
        if "enum" in schema:
            return [json.dumps(value) for value in schema["enum"]]
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return [self.written(member) for member in schema[union]]
        if schema.get("type") == "array":
            inner = self.written(schema["items"])
            return [f"({inner})[]" if " | " in inner else f"{inner}[]"]
        return [
            {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}[
                schema["type"]
            ]
        ]


def schema_of(name: str) -> Schema:
    schema = TypeAdapter(getattr(page, name)).json_schema()
    schema.pop("$defs", None)
    if "$ref" in schema:
        raise ValueError(f"{name} refers to itself")
    return {key: value for key, value in schema.items() if key not in ("title", "description", "discriminator")}


def comment(text: str, indent: str = "") -> list[str]:
    lines = text.strip().splitlines()
    if len(lines) <= 1:
        return [f"{indent}/** {line} */" for line in lines]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in lines), f"{indent} */"]


def interface(name: str, types: Types, source: Source) -> list[str]:
    schema, comments = types.schemas[name], source.comments(name)
    lines = [*comment(source.docstring(name)), f"export interface {name} {{"]
    for field, about in schema["properties"].items():
        optional = "" if field in schema.get("required", ()) else "?"
        lines += [*comment(comments[field], "  "), f"  {field}{optional}: {types.written(about)};"]
    return [*lines, "}"]


def alias(name: str, types: Types) -> list[str]:
    members = types.members(types.schemas[name])
    line = f"export type {name} = {' | '.join(members)};"
    if len(line) <= WIDTH:
        return [line]
    return [f"export type {name} =", *(f"  | {member}" for member in members[:-1]), f"  | {members[-1]};"]


def generated() -> str:
    source = Source(Path(page.__file__).read_text("utf-8"))
    types = Types(source.names)
    parts = (interface(name, types, source) if name in source.classes else alias(name, types) for name in source.names)
    return HEAD + "\n" + "\n\n".join("\n".join(part) for part in (comment(source.intro), *parts)) + "\n"


def main() -> int:
    text = generated()
    name = TARGET.relative_to(ROOT)
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text("utf-8") == text:
            print(f"{name} is what letta_nb/page.py says")
            return 0
        print(f"{name} is not what letta_nb/page.py says: run `make js` and commit the result")
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, "utf-8")
    print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
