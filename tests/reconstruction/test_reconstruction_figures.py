"""The figures of pictures of phase 1: titles, one scale for all errors, names and shapes of any kind."""

import cv2
import pytest
import torch
from figure_checks import assert_readable, kept_figures, texts

import core.figures.picture_grid
from core.figures.picture_grid import Scale, picture_grid
from reconstruction.figures.pictures import errors, pictures, printable, save_comparisons, save_grid

LONG = "WWWW_in_the_mountains_" * 12


@pytest.fixture
def figures(monkeypatch):
    """The matplotlib figures of the calls that follow, in order, instead of files."""
    return kept_figures(monkeypatch, core.figures.picture_grid)


def restorations(count, size=(12, 12), error=0.2):
    """Originals, the same with errors up to `error`, and content that leaves the lowest row out."""
    generator = torch.Generator().manual_seed(0)
    target = 0.5 * torch.rand(count, 3, *size, generator=generator)
    restored = target + error * torch.linspace(0, 1, count + 1)[1:, None, None, None]
    content = torch.ones(count, 1, *size, dtype=torch.bool)
    content[..., -1, :] = False
    return target, restored, content


def maps_of(figure):
    return [image for image in figure.axes[0].images if image.get_array().ndim == 2]


@pytest.mark.parametrize("error", [0.9, 0.35, 0.15, 0.043, 0.0125, 3e-7, 0.0])
@pytest.mark.parametrize("size", [(12, 12), (10, 40)])
def test_errors_share_a_scale_that_ends_at_the_largest(error, size, figures, tmp_path):
    given = restorations(3, size, error)
    save_grid(tmp_path / "grid.png", ["one", LONG, "three"], *given)
    assert_readable(figures[0])
    largest = max(found.max() for found in errors(*given)) or 1
    assert largest == pytest.approx(error or 1, rel=0.3)
    maps = maps_of(figures[0])
    assert [image.get_clim() for image in maps] == [(0, pytest.approx(largest))] * 3
    bar = figures[0].axes[1]
    assert bar.get_ylim() == (0, pytest.approx(largest))
    assert bar.get_ylabel() == "absolute error"
    factor = float(bar.yaxis.get_offset_text().get_text().replace("−", "-") or 1)
    for tick, label in zip(bar.get_yticks(), bar.get_yticklabels(), strict=True):
        assert float(label.get_text()) * factor == pytest.approx(tick)


def test_what_lies_outside_the_content_is_not_shown(figures, tmp_path):
    save_grid(tmp_path / "grid.png", ["one"], *restorations(1))
    for image in figures[0].axes[0].images:
        assert (image.get_array()[-1] == 0).all()
        assert image.get_array()[0].max() > 0


@pytest.mark.parametrize("size", [(12, 12), (10, 40), (40, 10)])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_titles_and_long_names_can_be_read(count, size, figures, tmp_path):
    target, restored, content = restorations(count, size)
    names = [f"best {place}: SSIM 0.9\n{LONG} caf\udce9 $x_{place}" for place in range(count)]
    save_grid(tmp_path / "grid.png", names, target, restored, content, "Best and worst by SSIM")
    columns = {"input": restored, "restored": target, "original": target}
    drawn = {heading: pictures(images, content) for heading, images in columns.items()}
    picture_grid(tmp_path / "damaged.png", "Damaged inputs", [*map(printable, names)], drawn)
    for figure, title, headings in zip(
        figures,
        ("Best and worst by SSIM", "Damaged inputs"),
        (("original", "restored", "error"), ("input", "restored", "original")),
        strict=True,
    ):
        assert_readable(figure)
        assert texts(figure)[0] == title
        assert set(headings) <= set(texts(figure))
        labels = [text for text in figure.axes[0].texts if text.get_text().startswith("best ")]
        assert [text.get_text()[-4:] for text in labels] == [f"$x_{place}" for place in range(count)]
        assert all("…" in text.get_text() and text.get_rotation() == 0 for text in labels)


@pytest.mark.parametrize("size", [(12, 12), (10, 40)])
def test_comparisons_are_what_each_would_be_alone(size, tmp_path):
    target, restored, content = restorations(3, size)
    columns = pictures(target, content), pictures(restored, content), errors(target, restored, content)
    names = ["one", LONG, "$x_3$"]
    titles = ["Restored picture: PSNR 20.0 dB", "SSIM 0.500", "perceptual distance 0.250, and more $y$"]
    paths = [tmp_path / f"{place}.png" for place in range(3)]
    save_comparisons(paths, names, titles, *columns)
    largest = max(error.max() for error in columns[2])
    for place, path in enumerate(paths):
        row = dict(zip(("original", "restored", "error"), ([column[place]] for column in columns), strict=True))
        scale = Scale("absolute error", float(largest), "magma")
        picture_grid(tmp_path / "alone.png", titles[place], [names[place]], row, scale=scale)
        assert path.read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_two_hundred_rows_are_as_high_as_a_file_can_be(figures, tmp_path):
    save_grid(tmp_path / "grid.png", [f"picture {place}" for place in range(200)], *restorations(200))
    width, height = figures[0].bbox.size
    assert 10 * width < height < 2**16


@pytest.mark.all
def test_two_hundred_rows_are_one_file(tmp_path):
    names = [f"picture {place}" for place in range(200)]
    save_grid(tmp_path / "grid.png", names, *restorations(200))
    height, width, _ = cv2.imread(str(tmp_path / "grid.png")).shape
    assert 10 * width < height < 2**16
