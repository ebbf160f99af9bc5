from collections.abc import Callable
from time import perf_counter

import pytest

from filters.mojibake import mojibake_share
from filters.quality_rules import RULE_SETS

LIMIT = RULE_SETS["default"]["max_mojibake"]


def latin_1(text: str) -> str:
    return text.encode().decode("latin-1")


def windows(text: str) -> str:
    """As browsers read Windows-1252: bytes that it has no letter for stay what they are."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())


def windows_with_replacements(text: str) -> str:
    return text.encode().decode("cp1252", "replace")


def windows_with_losses(text: str) -> str:
    return text.encode().decode("cp1252", "ignore")


@pytest.mark.parametrize("misread", [latin_1, windows, windows_with_replacements, windows_with_losses])
@pytest.mark.parametrize(
    "text",
    [
        "胸部CT显示右肺上叶结节影。", "胸部CTで右肺上葉に結節を認める。", "흉부 CT에서 우상엽에 결절이 보인다.",
        "يظهر التصوير المقطعي عقيدة في الفص العلوي الأيمن", "در سی‌تی اسکن قفسه سینه ندول دیده می‌شود",
        "בבדיקת הטומוגרפיה נראה גוש באונה העליונה הימנית", "На КТ определяется узел правого лёгкого",
        "Στην αξονική τομογραφία φαίνεται όζος", "सीने के सीटी में दाहिने फेफड़े में गांठ", "พบก้อนในปอดขวา",
        "Die Größe der Läsion beträgt 3 cm", "Nódulo pulmonar en el lóbulo superior", "The patient’s naïve T cells",
        "β-catenin, ≥5 µm, 37 °C", "Một nốt mờ ở thùy trên phổi phải",
    ],
    ids=[
        "chinese", "japanese", "korean", "arabic", "persian", "hebrew", "russian", "greek", "hindi", "thai", "german",
        "spanish", "english", "signs", "vietnamese",
    ],
)  # fmt: skip
def test_a_text_that_was_decoded_wrongly_is_told(text: str, misread: Callable[[str], str]) -> None:
    assert mojibake_share(misread(text)) > LIMIT
    assert mojibake_share(text) == 0


def test_of_a_text_in_another_writing_most_is_told() -> None:
    for text in ("右肺上叶可见结节影，边缘光滑。", "결절이보인다", "ندول", "גוש"):
        assert mojibake_share(windows(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Größe: 3 × 5 × 7 mm, „Maßstab“, süß…", "GRÖSSE DER LÄSION, Übersicht – Ödem", "Straßenfuß»",
        "« l’été\u00a0», « déjà\u00a0», « hépatomégalie\u00a0»\u00a0: à côté",
        "«\u202fétat fébrile\u202f» où l’œdème est noté, ça et là, naïf, Noël, aiguë",
        "Sự giãn nở của phế quản “ở phổi phải”, là tổn thương à… NGÃ” và “ĐÔ, MÃ", "“VÙNG XƯƠNG SỌ Â” của bệnh nhân",
        "„Sjúklingur með brjóstverk“ þegar ÓÐ», VIÐ\u00a0hjartað, „LJÓЄ æð, það», svæði“",
        "“A lesão” é… a região da MÃO; “IRMÔ, «MANHû, AMANHÃ\u00a0e AMANHÃ…, às 9\u00a0h, “atenção”, não»",
        "La niña «ESPAÑ», ¿qué?, ¡así!, 1.º y 2.ª, año…", "Åland 5\u00a0Å, 2 Å², 3 Å³, Ångström, Ø\u00a012, ÆØÅ»",
        "Ø\u00a0×\u00a0L = 3\u00a0×\u00a05\u00a0mm, 10\u00a0µm ± 2\u00a0°C, ¼×½, n\u00a0=\u00a05 ² ³, «quoted»",
        "È così… è» é” à’ ì– ò— ù™", "Ça va™, café®, naïve©, résumé…”, «fiancé», “touché”",
        "ã… õ… në” më» që– ë’s", "Çok iyi… GÜÇ», „ŻÓŁĆ”, Příliš žluťoučký kůň…",
    ],
)  # fmt: skip
def test_honest_letters_beside_quotation_marks_and_blanks_are_none(text: str) -> None:
    assert mojibake_share(text) == 0


def test_a_long_text_of_first_or_later_bytes_takes_no_time() -> None:
    began = perf_counter()
    for text in ("×" * 20_000, "é\u00a0" * 10_000, "é\u00a0»" * 7_000, "\u00a0" * 20_000, "Ã©" * 10_000):
        mojibake_share(text)
    assert perf_counter() - began < 1
