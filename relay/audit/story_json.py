"""A story as JSON, `tocsin/audit-incident/1`: every field of it, under its own name (SPEC 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from relay.audit.story import Finding, Story
from relay.audit.texts import plain

__all__ = ["finding_value", "story_value"]


def story_value(story: Story) -> dict[str, object]:
    """Give the object: times in milliseconds with their clock, bytes in hex, strangers' texts as is."""
    value = _value(story)
    assert isinstance(value, dict), "a story is an object"
    return {str(key): each for key, each in value.items()}


def finding_value(finding: Finding) -> object:
    """Give one finding, where there is no story to tell."""
    return _value(finding)


def _value(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        # Only our own sentences have marks in them.
        return plain(value) if "\x02" in value else value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(each) for each in value]
    return value
