"""Works as jobs of SLURM, handed in by submitit; the only file that needs submitit.

Jobs outlive the grid that handed them in: each run folder keeps the number of its job, which the next call takes up,
and a lock that the job holds from its beginning to its end.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import submitit
from filelock import FileLock

from core.errors import UserError
from core.files import write_json
from core.filing.json_file import read_json
from core.filing.writing import LOCK
from experiments.grid.config import AblationConfig
from experiments.grid.jobs import Work
from experiments.grid.run_folder import add_error, is_free
from experiments.grid.workers import Command, Worker

LOOK_SECONDS = 0.5
JOB, JOB_LOCK = "slurm_job.json", ".slurm_job.lock"
JOBS = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
DAY = 24 * 60


class SlurmRunner:
    """At most so many jobs handed in at once; see `Runner`.

    Args:
        config: what a job gets of a node, and what else submitit hands in with it.

    Raises:
        UserError: there is no SLURM here, or submitit does not know a setting.
    """

    where = " in SLURM"

    def __init__(self, config: AblationConfig) -> None:
        self.slots, self.threads = config.jobs, config.cpus_per_arm
        given = {"name": "ablate", "timeout_min": DAY, **(config.slurm or {})}
        cluster = given.pop("cluster", "slurm")
        if cluster not in JOBS:
            raise UserError(f"ablation.slurm: cluster {cluster!r} is not known: use {' or '.join(JOBS)}")
        self._job_class = JOBS[cluster]
        self._folder = config.output_dir.absolute() / "slurm"
        try:
            self._executor = submitit.AutoExecutor(self._folder, cluster)
            gpus = {"gpus_per_node": config.gpus_per_arm} if config.gpus_per_arm else {}
            self._executor.update_parameters(cpus_per_task=self.threads, **gpus, **given)
        except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
            raise UserError(f"ablation.slurm: {' '.join(str(error).split())}") from None

    def start(self, work: Work, commands: Sequence[Command]) -> "SlurmProcess":
        """Hand a work in, or take up the job that an earlier call handed in."""
        note = work.folder / JOB
        lines = [[module, *map(str, words)] for module, words in commands]
        job = self._earlier(note, lines)
        if job is None:
            try:
                job = self._executor.submit(Job(commands, work.console.absolute(), self.threads))
            except Exception as error:  # of classes that submitit does not export; sbatch refuses in words
                raise UserError(f"SLURM did not take it: {' '.join(str(error).split())}") from None
            write_json(note, {"job": job.job_id, "commands": lines})
        return SlurmProcess(job, work)

    def _earlier(self, note: Path, lines: list[list[str]]) -> Any:
        """Return the job that was handed in with the same commands and waits, runs or ended well; None without one."""
        if not note.exists():
            return None
        kept = read_json(note)
        if not isinstance(kept, dict) or kept.get("commands") != lines or not isinstance(kept.get("job"), str):
            return None
        job = self._job_class(self._folder, kept["job"])
        if not is_free(note.parent, JOB_LOCK):
            return job
        if job.done(force_check=True):
            return job if job.paths.result_pickle.exists() and not job.exception() and job.result() == 0 else None
        return None if job.state == "UNKNOWN" else job

    def close(self) -> None:
        """Do nothing: jobs end by themselves."""


class SlurmProcess:
    """A job; see `Process`."""

    def __init__(self, job: Any, work: Work) -> None:
        self.returncode: int | None = None
        self.lost: str | None = None
        self._job, self._work, self._told = job, work, False

    def poll(self) -> int | None:
        """Look whether the job is over; returns `returncode`."""
        if self.returncode is None and is_free(self._work.folder, JOB_LOCK) and self._job.done():
            failed = self._job.exception()
            if failed is None:
                self.returncode = self._job.result()
            elif self._job.paths.result_pickle.exists():
                self.returncode = 1
                add_error(self._work.console, f"the job broke: see {self._job.paths.stderr}")
            else:
                self.lost = f"job {self._job.job_id} left nothing ({self._job.state})"
                self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self) -> int | None:
        """Wait until it is over, or was told to leave and nothing writes to its run folder; returns its exit code."""
        while self.poll() is None and not (self._told and self._has_left):
            time.sleep(LOOK_SECONDS)
        return self.returncode

    @property
    def _has_left(self) -> bool:
        return all(is_free(self._work.folder, name) for name in (LOCK, JOB_LOCK))

    def terminate(self) -> None:
        """Take the job out of the queue; one that runs saves and leaves."""
        self._told = True
        self._job.cancel(check=False)

    kill = terminate


@dataclass
class Job:
    """What runs on a node: commands, one after the other."""

    commands: Sequence[Command]
    console: Path
    threads: int
    _process: Worker | None = field(default=None, init=False)

    def __call__(self) -> int | None:
        """Run until one fails; returns its exit code."""
        with FileLock(self.console.with_name(JOB_LOCK)):  # another that was handed in for the same waits
            self._process = Worker(self.commands, self.console, self.threads)
            return self._process.wait()

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Save and leave before the time is up or another job wants the node; SLURM begins it again."""
        if self._process:
            self._process.terminate()
            self._process.wait()
        return submitit.helpers.DelayedSubmission(Job(self.commands, self.console, self.threads))
