"""The first screen of an advice's page."""

from experiments.page.advice import advice_screen

CONTENT = {
    "says": ["With 32 masks, from scratch: Dice 0.50.", "Do: ImageNet's weights."],
    "arms": {
        "scratch": {
            "title": "from scratch",
            "folds": [0.5, None],
            "score": {"value": 0.5, "low": None, "high": None},
            "difference": None,
            "weighed": None,
            "outside_weights": False,
        },
        "imagenet": {
            "title": "ImageNet's weights",
            "folds": [0.7, 0.72],
            "score": {"value": 0.71, "low": 0.6, "high": 0.82},
            "difference": {"value": 0.2, "low": 0.1, "high": 0.3},
            "weighed": {"value": 0.17, "low": 0.1, "high": 0.24, "chance": 0.99, "data_sets": 4},
            "outside_weights": True,
        },
    },
    "best": "imagenet",
    "score": "mean_foreground_dice",
    "score_title": "Dice",
    "folds": 2,
    "masks": 40,
    "unlabelled": 260,
    "labels": 20.0,
    "left_out": ["teacher: every picture has a mask"],
    "warnings": ["few masks"],
}


def test_what_to_do_comes_first_and_the_ways_stand_beside_each_other():
    screen = advice_screen(CONTENT)
    assert screen.title == "Advice for 40 pictures with masks and 260 without"
    assert screen.action == "Do: ImageNet's weights."
    assert screen.lines == ["With 32 masks, from scratch: Dice 0.50."]
    assert screen.notes == ["teacher: every picture has a mask", "few masks"]
    scratch, imagenet = screen.table.rows
    assert [cell.text for cell in scratch] == ["From scratch", "0.500", "–", "–", "0.500, –"]
    assert (scratch[1].note, scratch[0].strong) == ("", False)
    assert [cell.text for cell in imagenet] == [
        "ImageNet's weights (outside weights)",
        "0.710",
        "+0.200",
        "+0.170",
        "0.700, 0.720",
    ]
    assert (imagenet[2].note, imagenet[0].strong) == ("+0.100 to +0.300", True)
    assert screen.table.heads[1] == "Dice"
