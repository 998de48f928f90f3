"""`/healthz` says that the process runs, `/readyz` that every encoder has just embedded something."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel

from simila.api.dependencies import FromServices

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str


class ReadinessBody(BaseModel):
    """`encoders` has `ready` for each encoder that answers, and the reason for each that does not."""

    ready: bool
    encoders: dict[str, str]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    return Health(status="alive")


@router.get(
    "/readyz",
    summary="Can every encoder answer?",
    responses={HTTPStatus.SERVICE_UNAVAILABLE: {"model": ReadinessBody, "description": "An encoder cannot answer"}},
)
async def readyz(services: FromServices, response: Response) -> ReadinessBody:
    readiness = await services.readiness.check()
    response.status_code = HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return ReadinessBody(ready=readiness.is_ready, encoders=readiness.encoders)
