"""The savings report as one page of HTML, to be printed as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cloud.lighting.report_texts import MONTHS, TEXTS

_PAGES = Environment(
    loader=PackageLoader("cloud.lighting"), autoescape=True, undefined=StrictUndefined
)


def page(report: Mapping[str, object], language: str = "fr") -> str:
    """The page of what `GET /lighting/report` gave; `language` is fr, en or de."""
    texts = TEXTS[language]
    return _PAGES.get_template("report.html").render(
        report=report,
        language=language,
        t=texts,
        number=partial(_number, language=language),
        day=partial(_day, language=language),
        name=partial(_name, texts),
    )


def _number(value: float | None, digits: int = 1, *, language: str) -> str:
    """With a decimal comma and thin spaces but in English; a dash for what is not known."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}".replace("-", "\u2212")
    if language != "en":
        text = text.replace(",", "\u202f").replace(".", ",")
    return text


def _day(date_: str, *, language: str) -> str:
    """As people write it: 1er mars 2026, 1 March 2026, 1. März 2026."""
    day = date.fromisoformat(str(date_))
    number = f"{day.day}" + {"fr": "er" if day.day == 1 else "", "de": "."}.get(language, "")
    return f"{number} {MONTHS[language][day.month - 1]} {day.year}"


def _name(texts: Mapping[str, str], saving: Mapping[str, Any]) -> str:
    """A baseline's name: B0 and B2 as somebody declared them, the others in the page's language."""
    key = "bound_name" if saving["baseline"] == "bound" else saving["baseline"]
    return str(texts.get(key, saving["name"]))
