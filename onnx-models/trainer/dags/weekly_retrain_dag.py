"""Every Sunday at 02:00: candidates for each site, held against the models in use; the better ones are put to use."""

from datetime import datetime, timezone

from airflow.sdk import dag
from pumphouse_sites import on_each_site


@dag(schedule="0 2 * * 0", start_date=datetime(2025, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1, doc_md=__doc__)
def weekly_retrain_dag():
    on_each_site("retrain")


weekly_retrain_dag()
