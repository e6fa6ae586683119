"""The process in which llama.cpp serves one model until its standard input ends. Started by server.py alone.

What surprises: the plan and the key come as the first line of standard input, because other users of a machine can
read the arguments of a process. When the parent dies, however it dies, the pipe ends and the server with it.
"""

import json
import os
import signal
import sys
from typing import Any


def serve(plan: dict[str, Any]) -> None:
    """Serve, and say the address on standard output as soon as the model is loaded."""
    import xllamacpp

    asked = xllamacpp.CommonParams()
    asked.model.path = plan["file"]
    asked.model_alias = {plan["model"]}
    asked.hostnames = ["127.0.0.1"]
    asked.port = plan["port"]
    asked.api_keys = [plan["api_key"]]
    asked.n_parallel = plan["slots"]
    asked.n_ctx = plan["context_tokens"] * plan["slots"]  # llama.cpp shares it out among the slots
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = plan["threads"]
    asked.offline = True
    asked.ui = False
    asked.endpoint_slots = False  # it shows what is being answered
    asked.cors_origins = ""  # "*" by default: any page in a browser on this machine could ask
    server = xllamacpp.Server(asked)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # The server's own way down waits for the answer that is being generated, which may take minutes.
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    serve(json.loads(sys.stdin.readline()))
