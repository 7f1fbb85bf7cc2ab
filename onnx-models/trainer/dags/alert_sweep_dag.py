"""Every quarter of an hour: alerts that nobody has seen to, and sites that have gone silent."""

from datetime import datetime, timezone

from airflow.sdk import dag
from pumphouse_sites import on_each_site


@dag(schedule="*/15 * * * *", start_date=datetime(2025, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1, doc_md=__doc__)
def alert_sweep_dag():
    on_each_site("sweep")


alert_sweep_dag()
