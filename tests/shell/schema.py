#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# usage: schema.py OPENAPI METHOD PATH STATUS <answer: is the answer what the description
# says? Knows as much of JSON Schema as docs/openapi.json uses.
import json
import re
import sys


def is_type(value, name):
    if name in ("integer", "number") and isinstance(value, bool):
        return False
    return isinstance(value, {
        "object": dict, "array": list, "string": str, "boolean": bool,
        "integer": int, "number": (int, float), "null": type(None),
    }[name])


def check(value, schema, where, whole):
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return check(value, whole["components"]["schemas"][name], where, whole)
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, t) for t in types):
        return [f"{where}: {value!r} is no {' or '.join(types)}"]
    wrong = []
    if "minimum" in schema and value < schema["minimum"]:
        wrong.append(f"{where}: {value} is below {schema['minimum']}")
    if isinstance(value, list):
        for i, item in enumerate(value):
            wrong += check(item, schema["items"], f"{where}[{i}]", whole)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        wrong += [f"{where}: no {n}" for n in schema.get("required", []) if n not in value]
        for name, item in value.items():
            if name in properties:
                wrong += check(item, properties[name], f"{where}.{name}", whole)
            elif schema.get("additionalProperties") is False:
                wrong.append(f"{where}: {name} is not described")
    return wrong


def main():
    path, method, asked, status = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    answer = json.load(sys.stdin)
    for pattern, methods in whole["paths"].items():
        if re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", pattern), asked.split("?")[0]):
            if method not in methods:
                continue
            answers = methods[method]["responses"]
            content = answers.get(status, answers.get("default"))["content"]
            wrong = check(answer, content["application/json"]["schema"], "answer", whole)
            print("\n".join(wrong), end="")
            return 1 if wrong else 0
    print(f"{method} {asked} is not described")
    return 1


sys.exit(main())
