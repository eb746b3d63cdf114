"""The savings report as one page of HTML, in French, to be printed as it is."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

_PAGES = Environment(
    loader=PackageLoader("cloud.lighting"), autoescape=True, undefined=StrictUndefined
)


def page(report: Mapping[str, object]) -> str:
    """The page of what `GET /lighting/report` gave."""
    return _PAGES.get_template("report.html").render(report=report)
