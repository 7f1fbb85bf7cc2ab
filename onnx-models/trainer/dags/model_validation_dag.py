"""Every night: whether the models in use are still better than the day before."""

from datetime import datetime, timezone

from airflow.sdk import dag
from pumphouse_sites import on_each_site


@dag(schedule="0 3 * * *", start_date=datetime(2025, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1, doc_md=__doc__)
def model_validation_dag():
    on_each_site("review")


model_validation_dag()
