"""The package as it is published: a wheel in a fresh environment, far from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings
from tests.integration.commands import TINY

ROOT = Path(__file__).parents[2]


def call(*command: object, cwd: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_wheel_finds_its_configuration_and_trains(tmp_path):
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    call(python, "-m", "pip", "install", "--no-deps", "--quiet", wheel, cwd=tmp_path)
    # The libraries are those of this environment; the package itself is the wheel's.
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = call(python, "-c", "import relcon_lightning; print(relcon_lightning.__file__)", cwd=tmp_path)
    assert where.startswith(str(site))

    command = tmp_path / "env" / "bin" / "relcon-pretrain"
    assert "RelCon" in call(command, "--cfg", "job", cwd=tmp_path)
    CohortStore.write(tmp_path / "data" / "watch", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    call(command, "model=distance", *TINY, "trainer.max_steps=1", "trainer.val_check_interval=1", cwd=tmp_path)
    assert (tmp_path / "runs/watch/distance/seed0/checkpoints/last.ckpt").exists()
