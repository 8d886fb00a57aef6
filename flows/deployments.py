"""Register the deployments of prefect.yaml on the server PREFECT_API_URL names: `python -m flows.deployments ZONE…`.

The daily run gets one schedule per time zone, at the hour its schedule in prefect.yaml says, of the tenants there.
Registering again replaces what was registered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

FOLDER = Path(__file__).resolve().parent
FILE = FOLDER / "prefect.yaml"
DAILY = "daily"


def declared() -> list[dict[str, Any]]:
    """The deployments as prefect.yaml says them."""
    found: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]
    return found


def with_time_zones(deployment: dict[str, Any], timezones: list[str]) -> dict[str, Any]:
    """The daily run with one schedule per time zone; every other deployment as it is."""
    if deployment["name"] != DAILY:
        return deployment
    pattern = deployment["schedules"][0]
    schedules = [
        {
            **pattern,
            "slug": "daily-" + zone.lower().replace("/", "-").replace("_", "-"),
            "timezone": zone,
            "parameters": {"timezone": zone},
        }
        for zone in sorted(set(timezones))
    ]
    return {**deployment, "schedules": schedules}


async def register(timezones: list[str]) -> list[str]:
    """Create or replace the work pool and all deployments; returns their names as flow/deployment."""
    from prefect import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.exceptions import ObjectNotFound
    from prefect.utilities.callables import parameter_schema
    from prefect.workers.process import ProcessWorker

    import flows.prefect_flow as module  # first: it switches off what Prefect reports

    names = []
    async with get_client() as client:
        for one in (with_time_zones(each, timezones) for each in declared()):
            pool = one["work_pool"]["name"]
            try:
                await client.read_work_pool(pool)
            except ObjectNotFound:
                template = ProcessWorker.get_default_base_job_template()
                await client.create_work_pool(
                    WorkPoolCreate(name=pool, type=ProcessWorker.type, base_job_template=template)
                )
            flow = getattr(module, one["entrypoint"].partition(":")[2])
            limit = one["concurrency_limit"]
            await client.create_deployment(
                flow_id=await client.create_flow(flow),
                name=one["name"],
                description=one["description"],
                tags=one["tags"],
                parameters=one["parameters"],
                parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
                enforce_parameter_schema=True,
                concurrency_limit=limit["limit"],
                concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]),
                work_pool_name=pool,
                path=str(FOLDER.parent),
                entrypoint=one["entrypoint"],
                schedules=[
                    DeploymentScheduleCreate(
                        schedule=CronSchedule(cron=each["cron"], timezone=each["timezone"]),
                        active=each["active"],
                        parameters=each.get("parameters", {}),
                        slug=each["slug"],
                    )
                    for each in one["schedules"]
                ],
            )
            names.append(f"{flow.name}/{one['name']}")
    return names


if __name__ == "__main__":
    print("\n".join(asyncio.run(register(sys.argv[1:]))))
