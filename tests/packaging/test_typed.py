"""A user's type checker sees the types of what is imported from Python."""

import os
import re
import subprocess
import sys

from documented_commands import ROOT, blocks_of

OURS = "ae_pretrained.*,core.*,data.*,reconstruction.*,transfer_learning.*"
# Older checkers write Union[...] and builtins.str.
REVEALED = {
    "Segmenter.load": r"def \(model_path: .*str.*pathlib\.Path.*\) -> [\w.]+\.Segmenter",
    "Segmenter.__call__": r"def \(self: .+Segmenter, picture: .*pathlib\.Path.*\) -> .*tuple\[numpy\.ndarray.+\]",
    "segmenter": r"transfer_learning\.inference\.segmenter\.Segmenter",
    "mask": r"numpy\.ndarray.+",
    "segmenter.classes.names": r".*tuple\[.*str, \.\.\.\]",
}


def test_a_strict_type_checker_sees_the_types_of_what_the_readme_imports(tmp_path):
    (lines,) = blocks_of(ROOT / "README.md", "python")
    (tmp_path / "mine.py").write_text(lines + "".join(f"reveal_type({name})\n" for name in REVEALED))
    # Torch is left out, which would take half a minute; ours are looked at as any installed package is.
    settings = f"[mypy]\nfollow_imports = skip\n[mypy-{OURS}]\nfollow_imports = normal\n"
    (tmp_path / "mypy.ini").write_text(settings)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "mypy", "--strict", "--no-pretty", "--config-file", "mypy.ini", "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r'Revealed type is "(.+)"$', done.stdout, re.MULTILINE)
    assert len(found) == len(REVEALED), done.stdout
    for (name, wanted), revealed in zip(REVEALED.items(), found, strict=True):
        assert re.fullmatch(wanted, revealed), f"{name}: {revealed}"
