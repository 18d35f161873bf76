"""Settings: each documented, and a bad value named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.settings import Settings, load_settings

_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "settings.md"


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(r"^\|[^|]*\|", _DOCUMENT.read_text(), re.MULTILINE))
    names = {name for cell in documented for name in re.findall(r"`(PAAS_[A-Z_]+)`", cell)}
    assert names == {f"PAAS_{name.upper()}" for name in Settings.__struct_fields__}


def test_value_that_does_not_parse_names_its_field() -> None:
    with pytest.raises(InvalidInput, match="api_port"):
        load_settings({"PAAS_API_PORT": "many"})


def test_engines_own_variables_are_the_fallback() -> None:
    assert load_settings({"NOMAD_ADDR": "http://n:4646"}).nomad_addr == "http://n:4646"
    both = {"NOMAD_ADDR": "http://n:4646", "PAAS_NOMAD_ADDR": "http://p:4646"}
    assert load_settings(both).nomad_addr == "http://p:4646"


def test_empty_variable_is_the_default() -> None:
    assert load_settings({"PAAS_API_PORT": ""}).api_port == 7070
