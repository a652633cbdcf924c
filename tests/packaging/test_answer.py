"""What docs/answer.md and the README say of the race is what its arms came to."""

import json
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "evaluation_results"
# How the tables name a row -> where its arms lie, and which share of the labels they had.
ROWS = {
    "Oxford-IIIT Pet, 128 px, 52 masks": ("race", 0.1),
    "Oxford-IIIT Pet, 128 px, 522 masks": ("race", 1.0),
    "Oxford-IIIT Pet, 64 px, 52 masks": ("race_small", 0.1),
    "ISIC 2018, 64 px, 70 masks": ("race_isic", 0.1),
    "MSRC-v2, 64 x 80 px, 32 masks": ("race_msrc", 0.1),
}
# Where a column has several variants, the first that was run.
COLUMNS = {
    "from scratch": ("scratch_10000", "scratch_4000"),
    "masked autoencoder, then masks": ("mask_hog_all",),
    "mean teacher": ("consistency",),
    "ImageNet's weights, distilled": ("distil",),
    "ImageNet's weights, a tenth of the rate": ("lite0_imagenet_tenth",),
    "ImageNet's weights, frozen": ("lite0_imagenet_frozen",),
}


CHOSEN = "what Val chooses without outside weights"


def scores(folder: str, variant: str, fraction: float) -> list[float]:
    found = sorted((RESULTS / folder / "arms").glob(f"{variant}__{fraction:g}__seed_*.json"))
    return [json.loads(file.read_text())["mean_iou"] for file in found]


def expected(row: str, column: str) -> str:
    """The mean over the seeds and how many those are, `0.507 (3)`; "–" where no arm was run."""
    folder, fraction = ROWS[row]
    runs = (scores(folder, variant, fraction) for variant in COLUMNS[column])
    first = next((found for found in runs if found), None)
    return f"{statistics.mean(first):.3f} ({len(first)})" if first else "–"


def chosen(row: str) -> str:
    """The column of what Val chooses without weights from outside within the largest budget."""
    folder, fraction = ROWS[row]
    found = json.loads((RESULTS / folder / "summary.json").read_text())
    (entry,) = [entry for entry in found if entry["fraction"] == fraction]
    own = [contest for contest in entry["equal_compute"] if not contest["outside_weights"]]
    best = max(own, key=lambda contest: contest["budget"])["best_variant"]
    return next(column for column, variants in COLUMNS.items() if best in variants)


def table(page: Path) -> dict[tuple[str, str], str]:
    """The cells of the table whose columns are the ways, without bold and italics."""
    lines = [
        [cell.strip() for cell in line.replace("*", "").strip("|\n").split("|")] for line in page.open(encoding="utf-8")
    ]
    begin = next(place for place, cells in enumerate(lines) if cells[-len(COLUMNS) :] == list(COLUMNS))
    found = {}
    for cells in lines[begin + 2 :]:
        if cells[0] not in ROWS:
            break
        named = zip(lines[begin], cells, strict=True)
        found |= {(cells[0], name): cell for name, cell in named if name in (*COLUMNS, CHOSEN)}
    return found


@pytest.mark.parametrize("page", ["docs/answer.md", "README.md"])
def test_the_table_of_the_race_is_what_its_arms_came_to(page):
    found = table(ROOT / page)
    assert found
    assert found == {(row, column): chosen(row) if column == CHOSEN else expected(row, column) for row, column in found}


def test_the_answer_has_every_row_and_says_what_val_chooses():
    found = table(ROOT / "docs/answer.md")
    assert {row for row, _ in found} == set(ROWS)
    assert {row for row, column in found if column == CHOSEN} == set(ROWS)


def test_the_masks_of_a_row_are_those_of_its_arms():
    for row, (folder, fraction) in ROWS.items():
        arm = next((RESULTS / folder / "arms").glob(f"*__{fraction:g}__seed_1.json"))
        assert int(re.findall(r"(\d+) masks", row)[0]) == json.loads(arm.read_text())["num_labels"]
