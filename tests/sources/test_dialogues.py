import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.cards import Speakers
from sources.dialogues import conversation_turns, spoken_turns, with_placeholders, without_placeholders
from sources.records import RecordError

ACI = Speakers(pattern=r"\s*\[([a-z ]+)\]", roles={"doctor": "assistant"})


def turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "text": text}


@pytest.mark.parametrize(
    "form",
    [
        [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
        [{"role": role, "content": text} for role, text in (("system", "s"), ("user", "q"), ("assistant", "a"))],
        [{"from": "system", "value": "s"}, {"from": "user", "value": " q "}, {"from": "assistant", "value": "a"},
         {"from": "human", "value": ""}],
        [{"role": "system", "content": ["s"]}, {"role": "user", "content": [{"type": "text", "text": "q"}]},
         {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}],
    ],
    ids=["llava", "chat", "with_an_empty_turn", "in_parts"],
)  # fmt: skip
def test_the_forms_of_conversations_give_the_same_turns(form: list[dict[str, str]]) -> None:
    assert conversation_turns(form) == [turn("system", "s"), turn("user", "q"), turn("assistant", "a")]


@pytest.mark.parametrize(
    "bad", ["text", [{"from": "narrator", "value": "x"}], ["x"], {"from": "human"}, [{"from": "gpt", "value": {}}]]
)
def test_what_is_no_conversation_is_refused(bad: object) -> None:
    with pytest.raises(RecordError):
        conversation_turns(bad)


@pytest.mark.parametrize("silent", ["", " \n", None, [], "<image>"])
def test_an_answer_without_a_word_stays_and_is_no_turn_of_the_user(silent: object) -> None:
    said = [("human", "q"), ("gpt", silent), ("human", "r"), ("human", ""), ("gpt", "b")]
    turns = with_placeholders(conversation_turns([{"from": who, "value": what} for who, what in said]), 0)
    assert turns == [turn("user", "q"), turn("assistant", ""), turn("user", "r"), turn("assistant", "b")]


def test_a_dialogue_is_cut_at_its_speakers_and_lines_go_on_with_the_turn_before() -> None:
    text = "[doctor] hi\n how are you ?\n\n[patient] fine .\n[guest] me too\n[doctor]\n"
    assert spoken_turns(text, ACI) == [
        turn("assistant", "hi\n how are you ?"), turn("user", "fine ."), turn("user", "me too"),
    ]  # fmt: skip


def test_a_text_without_speakers_has_no_turns() -> None:
    assert spoken_turns("nobody speaks here", ACI) == []


@pytest.mark.parametrize(
    ("texts", "images", "expected"),
    [
        (["look <image> here", "a"], 1, ["look <image> here", "a"]),
        (["look", "a"], 2, ["<image>\n<image>\nlook", "a"]),
        (["<image>\n<image>\nlook", "a"], 1, ["<image>\nlook", "a"]),
        (["<image>\nlook", "a <image> b"], 1, ["<image>\nlook", "a b"]),
        (["<image>\nlook", "a"], 0, ["look", "a"]),
        (["first", "a", "second <image>", "b"], 2, ["<image>\nfirst", "a", "second <image>", "b"]),
        (["<image><im<image>age> look", "a <im<image> \nage>b"], 1, ["<image> look", "a b"]),
    ],
    ids=["kept", "added", "surplus", "in_an_answer", "no_picture", "partly_placed", "nested"],
)
def test_there_is_one_placeholder_a_picture(texts: list[str], images: int, expected: list[str]) -> None:
    turns = [turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)]
    assert [placed["text"] for placed in with_placeholders(turns, images)] == expected


def test_pictures_of_a_conversation_without_user_are_shown_before_the_answer() -> None:
    placed = with_placeholders([turn("system", "s"), turn("assistant", "a")], 1)
    assert placed == [turn("system", "s"), turn("user", "<image>"), turn("assistant", "a")]


@given(
    texts=st.lists(
        st.text(alphabet="ab \n")
        | st.sampled_from(["x <image> y", "<image><image>", "<im<image>age>"])
        | st.lists(st.sampled_from(["<image>", "<im", "age>", "<", "image>", " "]), max_size=12).map("".join),
        min_size=1,
        max_size=6,
    ),
    images=st.integers(0, 4),
)
def test_placeholders_equal_pictures_and_stand_only_in_user_turns(texts: list[str], images: int) -> None:
    turns = [turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)]
    placed = with_placeholders(turns, images)
    assert sum(part["text"].count("<image>") for part in placed if part["role"] == "user") == images
    assert not any("<image>" in part["text"] for part in placed if part["role"] != "user")
    assert with_placeholders(placed, images) == placed


def test_placeholders_nested_a_million_times_are_taken_out_in_time() -> None:
    depth = 10**6
    assert without_placeholders("a" + "<im" * depth + "<image>" + "age>" * depth + "b") == "ab"


def test_pictures_among_the_parts_of_a_turn_keep_their_place_and_other_parts_are_refused() -> None:
    asked = [{"type": "image_url", "image_url": {"url": "a.png"}}, {"text": "Why?"}, {"image": "b.png"}]
    assert conversation_turns([{"role": "user", "content": asked}]) == [turn("user", "<image>\nWhy?\n<image>")]
    with pytest.raises(RecordError, match="neither text nor a picture"):
        conversation_turns([{"role": "user", "content": [{"type": "input_audio", "data": "x"}]}])
