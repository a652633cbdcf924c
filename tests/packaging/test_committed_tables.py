"""The tables of evaluation_results are those that the code of today makes of the arms beside them."""

from pathlib import Path

import pytest

from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.ablation.tables.public_results import public_tables
from experiments.ablation.tables.scores import tables_of
from experiments.table_formats import markdown

RESULTS = Path(__file__).parents[2] / "evaluation_results"
FOLDERS = sorted(path.parent.name for path in RESULTS.glob("*/plan.json"))


@pytest.mark.all
@pytest.mark.parametrize("name", FOLDERS)
def test_tables_are_made_of_their_arms_by_the_code_of_today(name):
    analysis = analysed(read_ablation(RESULTS / name))
    committed = (RESULTS / name / "tables.md").read_text(encoding="utf-8")
    for table in (*tables_of(analysis), *public_tables(analysis)):
        assert markdown(table) in committed, f"python -m experiments.tables --results evaluation_results/{name}"
