"""A deployment and clients of its API, for the modules that need no other settings."""

from collections.abc import Iterator

import httpx
import pytest

from diary_pipeline_tests.api.serving import Deployment, asked


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One home for all tests of a module; nobody takes anything in."""
    return Deployment(tmp_path_factory.mktemp("api") / "home")


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[httpx.Client]:
    """A client of its API."""
    with asked(deployment) as client:
        yield client


@pytest.fixture(scope="module")
def other(deployment: Deployment) -> Iterator[httpx.Client]:
    """A client of another replica of it."""
    with asked(Deployment(deployment.parts.settings.home)) as client:
        yield client
