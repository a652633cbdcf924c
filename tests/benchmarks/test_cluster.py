"""That the benchmark of a grid on Ray runs to its end."""

import json

import pytest

from benchmarks.cluster import main as cluster


@pytest.mark.all
def test_it_counts_the_arms_of_every_grid(tmp_path, capsys):
    pytest.importorskip("ray", reason="ray is not installed (extra `cluster`)")
    flags = ["--workers", "1", "2", "--arms", "3", "--steps", "1"]
    assert cluster([*flags, "--work_dir", str(tmp_path / "work"), "--output_dir", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("*/cluster.json")
    rows = json.loads(file.read_text())["rows"]
    assert [(row["workers"], row["arms"]) for row in rows] == [(1, 3), (2, 3)]
    assert all(row["arms_per_minute_once_begun"] > row["arms_per_minute"] > 0 for row in rows)
    assert "A grid on Ray" in capsys.readouterr().out
