import pytest

from core.retries import persist


def test_a_call_is_made_again_until_it_passes_or_time_is_up():
    tried = []

    def third():
        tried.append(1)
        if len(tried) < 3:
            raise BlockingIOError
        return len(tried)

    def passes(error):
        return isinstance(error, BlockingIOError)

    assert persist(third, passes) == 3
    tried.clear()
    with pytest.raises(BlockingIOError):
        persist(third, passes, wait_s=-1)
    assert len(tried) == 1


def test_what_does_not_pass_is_raised_at_once():
    tried = []

    def wrong():
        tried.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        persist(wrong, lambda error: isinstance(error, BlockingIOError))
    assert len(tried) == 1
