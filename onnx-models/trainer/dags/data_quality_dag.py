"""Every night: whether each site's last days are fit to learn from."""

from datetime import datetime, timezone

from airflow.sdk import dag
from pumphouse_sites import on_each_site


@dag(schedule="0 1 * * *", start_date=datetime(2025, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1, doc_md=__doc__)
def data_quality_dag():
    on_each_site("validate")


data_quality_dag()
