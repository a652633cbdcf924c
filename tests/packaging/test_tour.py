"""The notebook runs from top to bottom, and what it computes is what it says."""

import json
import re

import pytest
from documented_commands import ROOT

NOTEBOOK = ROOT / "docs" / "tour.ipynb"
# Read from the notebook's own variables when all of it has run.
FOUND = """print(json.dumps({
    "mean_iou": scores["mean_iou"], "images": scores["num_images"], "agree": float(agree),
    "classes": manifest["class_set"]["names"], "shapes": [list(mask.shape) for _, _, mask, _ in rows],
    "confidence": [float(row[3].min()) for row in rows]}))"""


def test_it_is_kept_without_outputs_and_its_links_lead_somewhere():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
    links = [link for cell in cells for link in re.findall(r"\]\(([^)#]+)\)", "".join(cell["source"]))]
    assert links
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []


@pytest.mark.all
def test_it_runs_to_its_end_and_the_network_has_learned(tmp_path, monkeypatch):
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason=f"{name} is not installed (extra `notebook`)")
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(FOUND))
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    found = json.loads(notebook.cells[-1].outputs[0].text)
    assert found["classes"] == ["background", "shape"]
    assert found["images"] > 20
    assert 0.7 < found["mean_iou"] <= 1
    assert found["agree"] > 0.85
    assert found["shapes"] == [[64, 64]] * 4
    assert all(0.5 <= least <= 1 for least in found["confidence"])  # the surer of two classes
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 2
