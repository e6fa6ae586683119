"""A sender of webhooks in a process of its own, for tests that kill it: LEDGER_URL HOST:PORT..."""

import sys
import threading

from diary_pipeline.api.webhooks import Sender, Sending
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.ledger.opening import open_ledger

if __name__ == "__main__":
    http = GuardedHttp(Guard(allowed=sys.argv[2:]))
    with Sender(open_ledger(sys.argv[1]), lambda _: http, Sending(("secret of the tests",), 10.0, 30)):
        print("sending", flush=True)
        threading.Event().wait()
