"""The schema that the platform publishes, for checking answers."""

from __future__ import annotations

import json
import re
from typing import Any

from hsup_source_heroku.testing.bodies import VARIANT_FIELD


class PublishedSchema:
    """Checks answers against a copy of https://api.heroku.com/schema."""

    def __init__(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            document = _as_draft_4(json.load(file))
        self._definitions = document["definitions"]
        self._links = [
            (re.compile(re.sub(r"\{[^}]*\}", "[^/]+", link["href"])), link, name)
            for name, definition in self._definitions.items()
            for link in definition.get("links", ())
            if link["method"] == "GET"
        ]

    def problems(self, path: str, content: object) -> list[str]:
        """Return the faults of an answer."""
        links = [(link, name) for href, link, name in self._links if href.fullmatch(path)]
        if not links:
            return [f"{path}: no such path is published"]
        link, name = links[0]
        if name == "release":
            content = _without_variant_field(content)
        target = link.get("targetSchema", {"$ref": f"#/definitions/{name}"})
        errors = self._validator(target).iter_errors(content)
        return [f"{path}: {error.json_path}: {error.message}" for error in errors]

    def _validator(self, target: object) -> Any:
        import jsonschema

        schema = {"allOf": [target], "definitions": self._definitions}
        return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def _without_variant_field(content: object) -> object:
    if isinstance(content, list):
        return [_without_variant_field(one) for one in content]
    assert isinstance(content, dict)
    return {name: value for name, value in content.items() if name != VARIANT_FIELD}


def _as_draft_4(schema: Any) -> Any:
    """Return a hyper-schema as a plain one: strict properties are required, and the only ones."""
    if isinstance(schema, list):
        return [_as_draft_4(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # The keyword `id` is a string; a property `id` is not.
    words = {"$schema", "example", *(["id"] if isinstance(schema.get("id"), str) else [])}
    made = {name: _as_draft_4(value) for name, value in schema.items() if name not in words}
    if made.get("strictProperties") is True and "properties" in made:
        made["additionalProperties"] = False
        made["required"] = sorted(made["properties"])
    return made
