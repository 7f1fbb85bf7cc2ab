"""What the DAGs share: the sites, and the trainer's commands on each of them.

PUMPHOUSE_SITES      a folder with a config for each site, *.toml: the daemon's own, as it lies on the box. Models go beside it, into
                     the folder that its [forecast] names
PUMPHOUSE_TRAINER    the Python in which the trainer's requirements are installed
PUMPHOUSE_DATABASE   the central office's PostgreSQL, postgres://reader@host/pumphouse; its password comes from PGPASSWORD. Without
                     it, the stores that the configs name are read
"""

import os
import subprocess
from pathlib import Path

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException

TRAINER = Path(__file__).resolve().parent.parent
# The trainer's code for data that a person has to look at: another attempt would say the same.
CHECK_FAILED = 1


@task
def sites():
    """The configs, one for each site."""
    folder = Path(os.environ["PUMPHOUSE_SITES"])
    found = sorted(str(path) for path in folder.glob("*.toml"))
    if not found:
        raise AirflowFailException(f"no *.toml in {folder}")
    return found


def on_each_site(command, *arguments):
    """The trainer's command as a task mapped over all sites."""

    @task(task_id=command, map_index_template="{{ config.split('/')[-1] }}")
    def run(config):
        database = os.environ.get("PUMPHOUSE_DATABASE")
        source = ["--database", database] if database else []
        call = [os.environ["PUMPHOUSE_TRAINER"], "-m", "pumphouse_trainer", command, "--config", config, *source, *arguments]
        done = subprocess.run(call, cwd=TRAINER, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(done.stdout)
        if done.returncode == CHECK_FAILED:
            raise AirflowFailException(f"{command} of {Path(config).stem}: {done.stdout.strip()[-2000:]}")
        done.check_returncode()

    return run.expand(config=sites())
