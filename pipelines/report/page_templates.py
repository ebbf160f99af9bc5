"""How every page is made: templates that escape what they show, and refuse a name that nobody gave."""

import jinja2


def page_templates(*packages: str) -> jinja2.Environment:
    """The templates of these packages, the first that has one, and of build reports."""
    places = [jinja2.PackageLoader(package) for package in (*packages, "pipelines.report")]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(places),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
