"""Checkpoints of the journal while the daemon serves: in its log, signed in a file, posted to somebody else."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import queue
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.test_metrics import scrape, value
from weltklassebot.journal.checkpoint_writer import appended
from weltklassebot.journal.checkpoints import CheckpointFile, public_of
from weltklassebot.settings.keys import private_pem, public_text

KEY = bytes(range(32))
PUBLIC = public_text(public_of(KEY))


def told(daemon):
    return [(line["why"], line["seq"], line["hash"]) for line in daemon.logs if line["event"] == "journal_checkpoint"]


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.02)


def with_key(daemon, **more):
    """As systemd hands a secret over."""
    place = daemon.directory / "credentials"
    place.mkdir()
    for name, text in {"checkpoint_secret": private_pem(KEY), **more}.items():
        (place / f"weltklassebot_journal.{name}").write_text(text)
    daemon.settings["CREDENTIALS_DIRECTORY"] = str(place)
    return daemon


def kept(daemon):
    return daemon.directory / "state" / "checkpoints.jsonl"


def proven(daemon):
    """The numbers in its file, each proved by its signature."""
    return [one.seq for one in CheckpointFile(kept(daemon), [public_of(KEY)])]


def verify(daemon, *more):
    command = [sys.executable, "-m", "weltklassebot", "audit", "verify", "--json", "--dir", str(daemon.store), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def test_the_log_holds_what_the_journal_is_held_against(make):
    daemon = make(JOURNAL__CHECKPOINT_RECORDS=5, JOURNAL__CHECKPOINT_MINUTES=60).start()
    wait_for(lambda: told(daemon))
    for number in range(6):
        daemon.check(f"c-{number}")
    wait_for(lambda: len(told(daemon)) == 2)
    daemon.check("one-more")
    daemon.post("/v1/admin/halt", reason="drill")
    wait_for(lambda: len(told(daemon)) == 3)
    running = [word for _, seq, link in told(daemon) for word in ("--expect", str(seq), link)]
    assert verify(daemon, *running)[0] == 0
    assert daemon.terminate() == 0
    lines = told(daemon)
    assert [why for why, _, _ in lines] == ["start", "records", "halt", "stop"]
    links = [line["hash"] for line in daemon.lines()]
    assert [links[seq - 1] for _, seq, _ in lines] == [link for _, _, link in lines]
    assert lines[2][1] == lines[3][1] - 1 == len(links) - 1, "the halt is in the one, the stop in the other"
    assert not kept(daemon).exists(), "nothing is signed without a key"


def test_without_a_new_record_there_is_nothing_to_tell(make):
    daemon = make(JOURNAL__CHECKPOINT_MINUTES="0.0001").start()
    daemon.check("c-1")
    wait_for(lambda: told(daemon)[-1:] and told(daemon)[-1][1] == daemon.state()["journal"]["durable_seq"])
    before = len(told(daemon))
    time.sleep(1.2)  # a beat of the pulse: nothing may come, so there is nothing to wait for
    assert len(told(daemon)) == before


def test_signed_ones_stand_in_a_file(make):
    daemon = with_key(make()).start()
    wait_for(lambda: kept(daemon).exists() and kept(daemon).stat().st_size)
    assert kept(daemon).stat().st_mode & 0o777 == 0o600
    daemon.check("c-1")
    halted = daemon.post("/v1/admin/halt", reason="drill")["seq"]
    wait_for(lambda: proven(daemon)[-1] >= halted)
    assert value(scrape(daemon), "journal_checkpoint_seq") == proven(daemon)[-1]
    maps = Path(f"/proc/{daemon.pid}/maps").read_text()
    assert "cryptography" not in maps, "what signs is a child's"
    assert verify(daemon, "--checkpoints", str(kept(daemon)), "--key", PUBLIC)[0] == 0, "while it writes on"
    secret = private_pem(KEY).splitlines()[1]
    assert daemon.terminate() == 0
    assert proven(daemon)[-1] == len(list(daemon.lines())), "the stop is signed"
    code, found = verify(daemon, "--checkpoints", str(kept(daemon)), "--key", PUBLIC)
    assert (code, found["unproven"], found["signatures"]) == (0, 0, "proved")
    assert not any(secret in line for line in daemon.text)


def test_a_line_that_a_crash_cut_off_gives_way_to_the_next(make):
    daemon = with_key(make()).start()
    daemon.terminate()
    count = len(proven(daemon))
    with kept(daemon).open("ab") as file:
        file.write(b'{"seq":')
    assert verify(daemon, "--checkpoints", str(kept(daemon)), "--key", PUBLIC)[1]["torn_checkpoints"]
    daemon.start().terminate()
    assert len(proven(daemon)) > count


def test_a_file_that_cannot_be_written_is_told_and_hurts_nobody(make):
    daemon = with_key(make())
    kept(daemon).mkdir(parents=True)
    daemon.start()
    assert daemon.log("chore_failed")["chore"] == "checkpoint_writer"
    wait_for(lambda: value(scrape(daemon), "journal_checkpoint_failing", step="write") == 1)
    assert daemon.check("c-1")["allowed"]
    assert daemon.terminate() == 0
    assert daemon.log("checkpoint_not_written")


def test_the_file_has_a_bound(tmp_path):
    path = tmp_path / "checkpoints.jsonl"
    for number in range(30):
        appended(path, b"%09d\n" % number, max_bytes=100)
    assert path.read_bytes().splitlines()[-1] == b"%09d" % 29
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoints.jsonl", "checkpoints.old.jsonl"]
    assert all(each.stat().st_size <= 100 for each in tmp_path.iterdir())
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        appended(link, b"x\n")


def test_a_bad_key_or_address_stops_the_start_and_is_not_shown(make):
    for name, bad in (
        ("secret", "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----"),
        ("url", "http://collector.example/secret"),
        ("url", "https://me:secret@collector.example/"),
        ("token", "secret\r\nHost: other"),
    ):
        daemon = make(**{f"JOURNAL__CHECKPOINT_{name.upper()}": bad})
        daemon.start(wait=False)
        assert daemon.wait() == 78
        assert any(f"journal.checkpoint_{name}: must be" in line for line in daemon.text)
        assert not any("secret" in line.replace("checkpoint_secret", "") for line in daemon.text)


def test_no_secret_is_listed(tmp_path):
    said = {"secret": private_pem(KEY), "url": "https://collector.example/s3cret", "token": "s3cret"}
    table = "".join(f"checkpoint_{key} = {json.dumps(text)}\n" for key, text in said.items())
    for content, shown in ((f"[journal]\n{table}", "********"), ("", "none")):
        (tmp_path / "config.toml").write_text(content)
        command = [sys.executable, "-m", "weltklassebot", "config", "show", "--config", str(tmp_path / "config.toml")]
        out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        lines = [line.split() for line in out.splitlines()]
        found = {line[0]: line[1] for line in lines if line and line[0].startswith("journal.checkpoint_")}
        assert [found[f"journal.checkpoint_{key}"] for key in said] == [shown] * 3
        assert "s3cret" not in out


def test_an_address_without_a_key_is_told(make):
    daemon = make(JOURNAL__CHECKPOINT_URL="https://127.0.0.1:1/").start()
    assert daemon.log("checkpoints_not_signed")
    assert value(scrape(daemon), "journal_checkpoint_failing", step="post") == 1


# --- the other side


class Collector:
    """Takes posts over TLS; `status` is what it answers."""

    def __init__(self, directory: Path) -> None:
        self.status = 204
        self.heard: queue.Queue[tuple[str, dict[str, str], bytes]] = queue.Queue()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(collector.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                collector.heard.put((self.path, dict(self.headers), body))

            do_GET = do_POST  # noqa: N815 - the name that the standard library asks for

            def log_message(self, *_: object) -> None:
                pass

        self.certificate = directory / "collector.pem"
        self.certificate.write_bytes(_certificate())
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/checkpoints?desk=1"


@contextmanager
def collecting(directory: Path) -> Iterator[Collector]:
    collector = Collector(directory)
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.05,))
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@pytest.fixture
def collector(tmp_path) -> Iterator[Collector]:
    with collecting(tmp_path) as made:
        yield made


def posting(make, collector, **more):
    daemon = with_key(make(**more), checkpoint_url=collector.url, checkpoint_token="open-sesame")
    daemon.settings["SSL_CERT_FILE"] = str(collector.certificate)
    return daemon


def test_signed_ones_are_posted(make, collector):
    daemon = posting(make, collector).start()
    path, headers, body = collector.heard.get(timeout=20)
    assert (path, headers["Authorization"]) == ("/checkpoints?desk=1", "Bearer open-sesame")
    assert body.splitlines()[0] == kept(daemon).read_bytes().splitlines()[0]
    assert daemon.terminate() == 0
    _, _, last = collector.heard.get(timeout=20)
    assert last.splitlines()[-1] == kept(daemon).read_bytes().splitlines()[-1], "the stop, too"
    assert not any("open-sesame" in line or "desk=1" in line for line in daemon.text)


def test_a_name_that_no_host_can_have_is_a_sentence_and_not_a_traceback(make):
    daemon = with_key(make(), checkpoint_url="https://collector..example/").start()
    assert daemon.log("chore_failed")["problem"].startswith("the checkpoints could not be posted: ")
    assert not [line for line in daemon.text if "Traceback" in line]


def test_no_redirect_is_followed_and_no_unknown_certificate_believed(make, collector):
    collector.status = 307
    daemon = posting(make, collector).start()
    assert daemon.log("chore_failed")["problem"] == "the checkpoints could not be posted: status 307"
    assert collector.heard.get(timeout=20)[0] == "/checkpoints?desk=1"
    wait_for(lambda: value(scrape(daemon), "journal_checkpoint_failing", step="post") == 1)
    assert daemon.check("c-1")["allowed"]
    assert value(scrape(daemon), "bounded_size", bound="unposted_checkpoints") >= 1
    assert daemon.terminate() == 0
    assert collector.heard.empty()
    daemon.settings["SSL_CERT_FILE"] = "/dev/null"
    daemon.start()
    assert "certificate" in daemon.log("chore_failed")["problem"]


def test_what_could_not_be_posted_is_posted_later_in_order(make, collector):
    collector.status = 503
    daemon = posting(make, collector).start()
    collector.heard.get(timeout=20)
    daemon.post("/v1/admin/halt", reason="drill")
    wait_for(lambda: value(scrape(daemon), "bounded_size", bound="unposted_checkpoints") == 2)
    collector.status = 200
    _, _, body = collector.heard.get(timeout=20)
    assert body == kept(daemon).read_bytes()
    wait_for(lambda: value(scrape(daemon), "journal_checkpoint_failing", step="post") == 0)
    assert value(scrape(daemon), "bounded_size", bound="unposted_checkpoints") == 0


def _certificate() -> bytes:
    """One of its own for 127.0.0.1, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
