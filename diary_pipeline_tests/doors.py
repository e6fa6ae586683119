"""A house whose doors fetch from the web server of the tests."""

import ssl

from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.fetch import FetchLimits
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.ledger.tables import NOT_WHOLE
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline_tests.door import House
from diary_pipeline_tests.web_server import WebServer, Wire

SECRET = "X-Signature=s3cret"
AGO = "Sat, 01 May 2021 20:00:00 GMT"
AT_ONCE = FetchLimits(waits_s=(0.0, 0.0))


class Doors(House):
    """A house whose doors fetch from the test's server."""

    web: WebServer

    def fetching_door(self, limits: FetchLimits = AT_ONCE) -> Intake:
        guard = Guard([f"memos.test:{self.web.port}"], resolve=lambda _: ["127.0.0.1"])
        http = HttpFetcher(GuardedHttp(guard, certificates=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
        return self.another_door(fetchers={"http": http}, fetching=limits)

    def address(self, page: Wire, name: str = "memo.wav", **options: object) -> str:
        """Submit an address with a signature."""
        self.web.pages[f"/{name}"] = page
        (id,) = self.submit(f"{self.web.url(f'/{name}')}?{SECRET}", **options)
        return id

    def until_ended(self, *ids: str) -> list[Submission]:
        """Work until these have become recordings or were refused."""
        for _ in range(200):
            self.door.work(10, 100, ids=ids)
            rows = [self.row(id) for id in ids]
            if not any(row.waits for row in rows):
                return rows
        raise AssertionError(f"{rows} still wait")

    def time_passes(self) -> None:
        """Let every lease and every pause be over."""
        with self.ledger.writing() as tx:
            tx.execute(table.update().where(table.c.not_before < NOT_WHOLE).values(not_before=0.0))


def speech(house: Doors, name: str = "made elsewhere.wav", pitch_hz: float = 140.0, seconds: float = 1.0) -> bytes:
    """Make a sound that lies nowhere."""
    path = house.sound(name, pitch_hz, seconds)
    data = path.read_bytes()
    path.unlink()
    return data
