import threading
import time

import pytest

from pipelines.read_ahead import ReadAhead

ORDER = [(f"{n}.png", 10) for n in range(40)]


def content(uri: str) -> bytes:
    return uri.encode() * 3


def test_answers_are_those_of_reading_one_by_one() -> None:
    with ReadAhead(content, ORDER) as ahead:
        assert [ahead.open(uri) for uri, _ in ORDER] == [content(uri) for uri, _ in ORDER]


def test_what_answers_late_is_not_waited_for_each_time() -> None:
    def late(uri: str) -> bytes:
        time.sleep(0.02)
        return content(uri)

    began = time.monotonic()
    with ReadAhead(late, ORDER) as ahead:
        for uri, _ in ORDER:
            ahead.open(uri)
    assert time.monotonic() - began < 0.5 * 0.02 * len(ORDER)


def test_an_error_is_raised_where_its_file_is_asked_for_and_nowhere_else() -> None:
    def read(uri: str) -> bytes:
        if uri == "3.png":
            raise PermissionError(13, "no")
        return content(uri)

    with ReadAhead(read, ORDER) as ahead:
        for uri, _ in ORDER:
            if uri == "3.png":
                with pytest.raises(PermissionError):
                    ahead.open(uri)
            else:
                assert ahead.open(uri) == content(uri)


@pytest.mark.parametrize(("files", "max_bytes", "most"), [(16, 1000, 16), (4, 1000, 4), (16, 35, 3), (16, 5, 0)])
def test_no_more_is_read_ahead_than_count_and_bytes_allow(files: int, max_bytes: int, most: int) -> None:
    read: list[str] = []
    lock = threading.Lock()

    def noted(uri: str) -> bytes:
        with lock:
            read.append(uri)
        return content(uri)

    with ReadAhead(noted, ORDER, files, max_bytes) as ahead:
        for asked, (uri, _) in enumerate(ORDER):
            time.sleep(0.002)
            assert len(read) - asked <= most
            assert ahead.open(uri) == content(uri)
    assert sorted(read) == sorted(uri for uri, _ in ORDER)


def test_after_a_picture_larger_than_all_that_may_be_ahead_the_next_ones_are_read_ahead_again() -> None:
    order = [("0.png", 10), ("large.png", 100), *((f"{n}.png", 10) for n in range(1, 20))]
    began: set[str] = set()
    lock = threading.Lock()

    def noted(uri: str) -> bytes:
        with lock:
            began.add(uri)
        return content(uri)

    with ReadAhead(noted, order, files=4, max_bytes=50) as ahead:
        assert ahead.open("0.png") == content("0.png")
        assert began == {"0.png"}  # the large one stands in the way
        assert ahead.open("large.png") == content("large.png")
        deadline = time.monotonic() + 5
        while len(began) < 6 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert began == {"0.png", "large.png", "1.png", "2.png", "3.png", "4.png"}
        assert [ahead.open(uri) for uri, _ in order[2:]] == [content(uri) for uri, _ in order[2:]]


def test_what_is_asked_for_again_out_of_order_or_never_named_is_read_too() -> None:
    asked = ["0.png", "0.png", "5.png", "2.png", "other.png", "39.png", "6.png"]
    with ReadAhead(content, ORDER, files=3) as ahead:
        assert [ahead.open(uri) for uri in asked] == [content(uri) for uri in asked]


def test_leaving_early_leaves_no_thread_behind() -> None:
    with ReadAhead(content, ORDER) as ahead:
        ahead.open("0.png")
    assert [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")] == []
