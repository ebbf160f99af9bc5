import pytest

from sources.licenses import spdx_license


@pytest.mark.parametrize(
    ("stated", "spdx"),
    [
        ("CC BY 4.0", "CC-BY-4.0"),
        ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/", "CC-BY-NC-ND-3.0"),
        ("http://creativecommons.org/licenses/by/2.5/", "CC-BY-2.5"),
        ("Creative Commons Attribution-NonCommercial 4.0 International License", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("CC BY", "LicenseRef-CC-BY"),
        ("CC BY-NC-SA", "LicenseRef-CC-BY-NC-SA"),
        ("CC BY-ND", "LicenseRef-CC-BY-ND"),
        ("CC0", "CC0-1.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("Apache 2.0", "Apache-2.0"),
        ("apache-2.0", "Apache-2.0"),
        ("BSD-3-Clause", "BSD-3-Clause"),
        ("LicenseRef-CC-BY", "LicenseRef-CC-BY"),
        ("NO-CC CODE", "unknown"),
        ("CC", "unknown"),
        ("CC NC", "unknown"),
        ("CC BY 4.0 except figures", "unknown"),
        ("research only", "unknown"),
        ("unknown", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_licence_as_stated_becomes_spdx_or_unknown(stated: str | None, spdx: str) -> None:
    assert spdx_license(stated) == spdx


def test_normalising_twice_changes_nothing() -> None:
    for stated in ("CC BY 4.0", "CC BY-NC", "CC0", "mit", "Apache 2.0", "research only"):
        assert spdx_license(spdx_license(stated)) == spdx_license(stated)
