"""Google Cloud Storage's JSON API on loopback, for the real SDK: generations, preconditions, resumable uploads, faults.

It keeps its objects in memory and counts what it was asked. What it does not do: credentials and permissions (beyond
saying which are granted), versioning and soft delete (beyond saying so), compose, copy and rewrite, holds, the XML
and gRPC APIs, rate limits, and any delay.
"""

import base64
import datetime as dt
import email.parser
import email.policy
import itertools
import json
import re
import sys
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from diary_pipeline_tests.servers import missing_server

Harm = Literal["status", "cut", "damage", "lost answer"]
OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/(.+)")
PAGE = 1000
MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass
class Fault:
    """What goes wrong with the next requests that match."""

    match: str
    """A pattern over `METHOD path`."""
    harm: Harm = "status"
    status: int = 503
    times: int = 1


@dataclass
class Kept:
    """An object."""

    data: bytes
    generation: int
    metadata: dict[str, str]
    content_type: str
    written_at: str


@dataclass
class GcsServer:
    """What the server holds, what it was asked, and what is to go wrong."""

    url: str = ""
    buckets: dict[str, dict[str, Kept]] = field(default_factory=dict)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By bucket: what its own resource says besides its name."""
    rights: set[str] | None = None
    """None: all are granted."""
    asked: list[str] = field(default_factory=list)
    """`METHOD path`, in order."""
    faults: list[Fault] = field(default_factory=list)
    told: dict[str, Callable[[bytes, dict[str, str]], None]] = field(default_factory=dict)
    """By bucket: who is told of each object that is written there, body and attributes."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000_000_000))

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"diary-{uuid.uuid4().hex[:12]}"
        self.buckets[name] = {}
        return name

    def write(self, bucket: str, name: str, data: bytes) -> int:
        """Write an object as somebody would by other means than ours, and return its generation."""
        kept = Kept(data, next(self.generations), {}, "", dt.datetime.now(dt.UTC).strftime(MOMENT))
        with self.lock:
            self.buckets[bucket][name] = kept
        self.tell(bucket, name)
        return kept.generation

    def tell(self, bucket: str, name: str) -> None:
        """Tell whoever asked for it that an object was written, in what GCS calls JSON_API_V1."""
        if bucket in self.told:
            said = _resource(bucket, name, self.buckets[bucket][name])
            event = {"eventType": "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1"}
            which = {"bucketId": bucket, "objectId": name, "objectGeneration": said["generation"]}
            self.told[bucket](json.dumps({"kind": "storage#object", **said}).encode(), {**event, **which})

    def fault_for(self, asked: str) -> Fault | None:
        """Note what is asked, and take the fault that is meant for it."""
        with self.lock:
            self.asked.append(asked)
            for fault in self.faults:
                if fault.times and re.search(fault.match, asked):
                    fault.times -= 1
                    return fault
        return None

    def bytes_of(self, bucket: str) -> bytes:
        """Return every byte of a bucket, to look for what must not be there."""
        return b"\n".join(name.encode() + kept.data for name, kept in self.buckets[bucket].items())


@contextmanager
def gcs_server() -> Iterator[GcsServer]:
    """Serve on a free port; skip where the SDK is not installed."""
    try:
        import google.cloud.storage  # noqa: F401
    except ModuleNotFoundError:
        missing_server("the Python package google-cloud-storage is not installed")
    state = GcsServer()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that a client dropped."""
        if not isinstance(sys.exception(), ConnectionError):
            raise  # noqa: PLE0704 - socketserver calls this where the exception is handled


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: GcsServer
    fault: Fault | None = None

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_any(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(size := int(self.headers.get("content-length") or 0))
        if len(body) < size:
            raise ConnectionResetError("killed in the middle of its request")
        path = urllib.parse.unquote(url.path)
        self.fault = self.state.fault_for(f"{self.command} {path}")
        if self.fault and self.fault.harm == "status":
            self.refuse(self.fault.status, "as the test wants")
        elif found := re.fullmatch(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o", path):
            self.upload(found[1], query, body)
        elif found := re.fullmatch(r"/storage/v1/b/([^/]+)/iam/testPermissions", path):
            wanted = urllib.parse.parse_qs(url.query)["permissions"]
            granted = [p for p in wanted if self.state.rights is None or p in self.state.rights]
            self.answer(200, {"permissions": granted}, known=found[1])
        elif found := re.fullmatch(r"/storage/v1/b/([^/]+)", path):
            self.answer(200, {"name": found[1], **self.state.said.get(found[1], {})}, known=found[1])
        elif found := re.fullmatch(r"/storage/v1/b/([^/]+)/o", path):
            self.list(found[1], query)
        elif found := OBJECT.fullmatch(path):
            with self.state.lock:
                self.object(found[1], found[2], query)
        else:
            self.refuse(501, f"the stand-in does not know {self.command} {path}")

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def object(self, bucket: str, name: str, query: dict[str, str]) -> None:
        """Look at, read or remove an object."""
        kept = self.state.buckets.get(bucket, {}).get(name)
        if kept is None or query.get("generation", str(kept.generation)) != str(kept.generation):
            self.refuse(404, f"No such object: {bucket}/{name}", known=bucket)
        elif self.command == "DELETE":
            if self.holds(query, kept):
                del self.state.buckets[bucket][name]
                self.answer(204, b"")
        elif query.get("alt") == "media":
            self.media(kept)
        else:
            self.answer(200, _resource(bucket, name, kept))

    def media(self, kept: Kept) -> None:
        """Send bytes, or those from an offset on."""
        digest = f"crc32c={_crc32c(kept.data)}"
        headers = {"x-goog-generation": str(kept.generation), "x-goog-hash": digest}
        if asked := re.match(r"bytes=(\d+)-", self.headers.get("range", "")):
            start = int(asked[1])
            headers["content-range"] = f"bytes {start}-{len(kept.data) - 1}/{len(kept.data)}"
            self.answer(206, kept.data[start:], **headers)
        else:
            self.answer(200, kept.data, **headers)

    def list(self, bucket: str, query: dict[str, str]) -> None:
        """List by prefix, a page at a time."""
        with self.state.lock:
            kept = self.state.buckets.get(bucket, {})
            after, prefix = query.get("pageToken", ""), query.get("prefix", "")
            start = query.get("startOffset", "")
            names = sorted(name for name in kept if name.startswith(prefix) and name > after and name >= start)
            page = names[: int(query.get("maxResults", PAGE))]
            found = {"items": [_resource(bucket, name, kept[name]) for name in page]}
        more = {"nextPageToken": page[-1]} if len(names) > len(page) else {}
        self.answer(200, found | more, known=bucket)

    def upload(self, bucket: str, query: dict[str, str], body: bytes) -> None:
        """Take an object in one piece, or begin or go on with one in several."""
        if query.get("uploadType") == "multipart":
            head = b"Content-Type: " + self.headers["content-type"].encode() + b"\r\n\r\n"
            message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
            boundary = b"--" + str(message.get_boundary()).encode()
            said, _, rest = body.partition(boundary)[2].partition(boundary)
            sent = rest.rpartition(boundary)[0]
            resource = json.loads(said.split(b"\r\n\r\n", 1)[1])
            self.keep(bucket, resource, sent.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"), query)
        elif "upload_id" not in query:
            upload_id = uuid.uuid4().hex
            self.state.uploads[upload_id] = {"resource": json.loads(body), "query": query, "data": b""}
            where = f"{self.state.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
            self.answer(200, b"", location=where)
        else:
            begun = self.state.uploads[query["upload_id"]]
            span = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", self.headers.get("content-range", ""))
            assert span is not None, "an upload in pieces says which piece this is"
            begun["data"] = begun["data"][: int(span[1])] + body if span[1] else begun["data"]
            if span[2] == "*" or len(begun["data"]) < int(span[2]):
                here = {"range": f"bytes=0-{len(begun['data']) - 1}"} if begun["data"] else {}
                self.answer(308, b"", **here)
            else:
                resource = begun["resource"]
                if sent := re.search(r"crc32c=(\S+)", self.headers.get("x-goog-hash", "")):
                    resource = {**resource, "crc32c": sent[1]}
                self.keep(bucket, resource, begun["data"], begun["query"])

    def keep(self, bucket: str, resource: dict[str, Any], data: bytes, query: dict[str, str]) -> None:
        """Store an object if its precondition holds and its checksum is that of the bytes that came."""
        if self.fault and self.fault.harm == "damage":
            data = bytes([data[0] ^ 1]) + data[1:]
        name = resource["name"]
        with self.state.lock:
            if bucket not in self.state.buckets:
                return self.refuse(404, "", known=bucket)
            if resource.get("crc32c", _crc32c(data)) != _crc32c(data):
                return self.refuse(400, "Provided CRC32C does not match calculated CRC32C.")
            if not self.holds(query, self.state.buckets[bucket].get(name)):
                return None
            kind = resource.get("contentType", "")
            said, now = resource.get("metadata") or {}, dt.datetime.now(dt.UTC)
            kept = Kept(data, next(self.state.generations), said, kind, now.strftime(MOMENT))
            self.state.buckets[bucket][name] = kept
        self.state.tell(bucket, name)
        if self.fault and self.fault.harm == "lost answer":
            return self.refuse(503, "stored, but the answer is lost")
        return self.answer(200, _resource(bucket, name, kept))

    def holds(self, query: dict[str, str], kept: Kept | None) -> bool:
        """Whether the precondition holds; says so itself when it does not."""
        wanted = query.get("ifGenerationMatch")
        if wanted is None or int(wanted) == (kept.generation if kept else 0):
            return True
        self.refuse(412, "At least one of the pre-conditions you specified did not hold.")
        return False

    def refuse(self, status: int, message: str, known: str | None = None) -> None:
        """Answer that it cannot be done."""
        if known is not None and known not in self.state.buckets:
            message = "The specified bucket does not exist."
        self.answer(status, {"error": {"code": status, "message": message, "errors": [{"reason": message}]}})

    def answer(self, status: int, body: dict[str, Any] | bytes, known: str | None = None, **headers: str) -> None:
        """Send an answer, whole or as the fault wants it."""
        if known is not None and known not in self.state.buckets:
            return self.refuse(404, "", known=known)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/octet-stream" if isinstance(body, bytes) else "application/json")
        if status != 204:
            self.send_header("content-length", str(len(sent)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.fault and self.fault.harm == "damage" and self.command == "GET":
            sent = sent[:-1] + bytes([sent[-1] ^ 1])
        if self.fault and self.fault.harm == "cut":
            sent = sent[: len(sent) // 2]
            self.close_connection = True
        return self.wfile.write(sent) and None


def _resource(bucket: str, name: str, kept: Kept) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "name": name,
        "generation": str(kept.generation),
        "metageneration": "1",
        "size": str(len(kept.data)),
        "contentType": kept.content_type,
        "crc32c": _crc32c(kept.data),
        "timeCreated": kept.written_at,
        "metadata": kept.metadata,
    }


def _crc32c(data: bytes) -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
