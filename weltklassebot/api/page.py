"""The API's description as one page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

__all__ = ["page"]

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { padding: .75rem; overflow-x: auto; border: 1px solid #8886; border-radius: 4px }
details { border: 1px solid #8886; border-radius: 4px; margin: .5rem 0; padding: .4rem .75rem }
summary { cursor: pointer }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .75rem .2rem 0; border-bottom: 1px solid #8883 }
.method { display: inline-block; min-width: 4rem; font-weight: 600 }
.role { opacity: .7 }
"""


def page(document: dict[str, Any]) -> str:
    """HTML of an OpenAPI document."""
    info = document["info"]
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])} API</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{escape(info['description'])}</p>",
            f"<p>{escape(document['components']['securitySchemes']['bearer']['description'])}</p>",
            '<p>As a document: <a href="/openapi.json">/openapi.json</a></p>',
            *_groups(document),
            "<h2>Errors</h2><table>",
            *_errors(document),
            "</table><h2>Forms</h2>",
            *(_schema(name, form) for name, form in sorted(document["components"]["schemas"].items())),
        ]
    )


def _groups(document: dict[str, Any]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if operation["tags"] == [tag["name"]]:
                    yield _operation(method, path, operation)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    role = operation.get("x-role")
    parts = [
        f'<details id="{operation["operationId"]}"><summary><span class="method">{method.upper()}</span> ',
        f'<code>{escape(path)}</code> <span class="role">{role or "open"}</span><br>{escape(operation["summary"])}',
        "</summary>",
    ]
    if parameters := operation.get("parameters"):
        parts.append("<h4>Parameters</h4><table>")
        parts += [_row(f"{one['name']} ({one['in']})", one["schema"], required=False) for one in parameters]
        parts.append("</table>")
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        parts.append(f"<h4>Body</h4><p>{_type(content['schema'])}</p>{_example(content['example'])}")
    for media, content in operation["responses"]["200"]["content"].items():
        parts.append(f"<h4>Answer</h4><p><code>{media}</code> {_type(content['schema'])}</p>")
        if "example" in content:
            parts.append(_example(content["example"]))
    errors = ", ".join(status for status in operation["responses"] if status != "200")
    parts.append(f"<p>Errors: {errors}</p></details>")
    return "".join(parts)


def _errors(document: dict[str, Any]) -> Iterator[str]:
    for status, response in document["components"]["responses"].items():
        yield f"<tr><td>{status}<td>{escape(response['description'])}"


def _schema(name: str, form: dict[str, Any]) -> str:
    required = form.get("required", [])
    rows = "".join(
        _row(field, one, required=field in required) for field, one in form.get("properties", {}).items()
    )  # fmt: skip
    words = escape(str(form.get("description", "")))
    return (
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary><p>{words}</p>'
        f"<table>{rows}</table></details>"
    )


def _row(name: str, form: dict[str, Any], *, required: bool) -> str:
    default = f"default {escape(json.dumps(form['default']))}" if "default" in form else ""
    need = "required" if required else default
    return f"<tr><td><code>{escape(name)}</code><td>{_type(form)}<td>{need}<td>{escape(form.get('description', ''))}"


def _type(form: dict[str, Any]) -> str:
    """In words, with links to named forms."""
    if (ref := form.get("$ref")) is not None:
        name = escape(ref.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(map(_type, form["anyOf"])))
    if "enum" in form:
        return " ".join(f"<code>{escape(str(one))}</code>" for one in form["enum"])
    words = escape(str(form.get("type", "anything")))
    if isinstance(form.get("items"), dict):
        words += f" of {_type(form['items'])}"
    bounds = [f"{key} {form[key]}" for key in _BOUNDS if key in form]
    return words + (f" <code>{escape(', '.join(bounds))}</code>" if bounds else "")


_BOUNDS: Final = (
    "pattern", "format", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength",
    "minItems", "maxItems",
)  # fmt: skip


def _example(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"
