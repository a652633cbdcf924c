"""The table of an ablation's scores by case."""

from experiments.ablation.case_dice import MEASURE
from experiments.ablation.statistics import Analysis, Group
from experiments.table_formats import UNKNOWN, Table, number, share, signed


def case_table(analysis: Analysis) -> Table:
    """Return the mean Dice of a case of every variant at each fraction, and by how much it is ahead, with intervals."""
    rows: list[list[str]] = []
    bold: list[int] = []
    for fraction in analysis.fractions:
        best = analysis.best(fraction)
        for group in analysis.at(fraction):
            if group is best:
                bold.append(len(rows))
            rows.append(_row(group))
    columns = ["labels", "variant", "seeds", "Test", "compared with", "difference", "95 % interval", "reading"]
    notes = [
        "Of each volume of Test the mean Dice of the foreground classes that its truth or prediction holds, then the "
        "mean over volumes, and over the seeds; in brackets the lowest and the highest seed.",
        "Intervals: paired bootstrap over volumes and seeds, as for mean IoU.",
        "Bold: the best on Val at this fraction, by mean IoU.",
    ]
    text = ["labels", "variant", "compared with", "reading"]
    return Table(MEASURE[0].upper() + MEASURE[1:], columns, rows, text, notes, frozenset(bold))


def _row(group: Group) -> list[str]:
    assert group.by_case
    test, difference = group.by_case.test, group.by_case.difference
    score = f"{number(test.mean)} ({number(test.low)} to {number(test.high)})"
    labels = f"{group.labels} ({share(group.fraction)})"
    if difference is None:
        return [labels, group.variant, str(len(group.seeds)), score, *[UNKNOWN] * 4]
    low, high = difference.interval or (None, None)
    limits = f"{signed(low)} to {signed(high)}" if difference.interval else UNKNOWN
    remarks = [difference.verdict, "descriptive only" if group.descriptive_only else ""]
    reading = "; ".join(filter(None, remarks))
    seeds = str(len(difference.seeds))
    return [labels, group.variant, seeds, score, difference.baseline, signed(difference.value), limits, reading]
