"""smtptls audit --json, run and taken apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import smtptls
from smtptls.cli.auditing.rows import ROWS

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMA = Path(__file__).resolve().parents[2] / "smtptls/cli/audit.schema.json"
NAMES = [row.name for row in ROWS]


def audited(target: str, *arguments: Any) -> dict[str, Any]:
    """The document; the exit code and the text agree with it."""
    ran = smtptls("audit", "--json", *arguments, target)
    assert not ran.err
    found: dict[str, Any] = json.loads(ran.out)
    assert found["exit"] == ran.code and found["ok"] == (ran.code == 0)
    assert [row["row"] for row in found["rows"]] == NAMES
    assert sum(found["counts"].values()) == len(NAMES)
    validate(found)
    return found


def validate(found: dict[str, Any]) -> None:
    if jsonschema is None:
        return  # test_the_schema says so
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema)


def rows(found: dict[str, Any], result: str) -> set[str]:
    return {row["row"] for row in found["rows"] if row["result"] == result}


def came(found: dict[str, Any], name: str) -> str:
    return str(next(row["came"] for row in found["rows"] if row["row"] == name))
