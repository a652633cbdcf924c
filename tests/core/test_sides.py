import pytest

from core.errors import UserError
from core.sides import sides_of


@pytest.mark.parametrize(("size", "sides"), [(128, (128, 128)), ("128", (128, 128)), ("360x480", (360, 480))])
def test_a_size_is_a_square_or_height_times_width(size, sides):
    assert sides_of(size) == sides


@pytest.mark.parametrize("size", ["wide", "360x", "360x480x3", "1.5", ""])
def test_other_sizes_are_refused(size):
    with pytest.raises(UserError, match="360x480 for height x width"):
        sides_of(size)
