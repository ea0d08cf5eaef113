"""nginx.conf of the compose file: the next replica gets what was never sent, and only that."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support
from boot.harness import Answer, Ports, ask, eventually

pytestmark = pytest.mark.container


class Replica:
    """Takes requests, counts them, and answers or breaks off."""

    def __init__(self, port: int, reply: bytes) -> None:
        self.requests: list[str] = []
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536).split(b" ")[0].decode())
                if self._reply:
                    connection.sendall(self._reply)

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture(scope="module")
def shipped(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The rendered nginx.conf."""
    project = render(tmp_path_factory.mktemp("nginx") / "service", {"archetype": "minimal"})
    return (project / "deploy/compose/nginx.conf").read_text()


@pytest.fixture
def nginx(shipped: str, ports: Ports, tmp_path: Path) -> Iterator[tuple[int, list[int]]]:
    """The real nginx with the rendered configuration; its port, and those of the two replicas."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    program = program or support.require_engine("nginx")
    port, own, *replicas = (ports.take() for _ in range(4))
    text = shipped
    for old, new in {
        "app-1:8000": f"127.0.0.1:{replicas[0]}",
        "app-2:8000": f"127.0.0.1:{replicas[1]}",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8081": f"127.0.0.1:{own}",
        "include mime.types;": "",
        "/tmp/": f"{tmp_path}/",  # noqa: S108
        "/dev/stdout": f"{tmp_path}/access.log",
    }.items():
        assert old in text
        text = text.replace(old, new)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text)
    command = [program, "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration)]
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    eventually(lambda: ask(own, "/").status == 200, 10)
    yield port, replicas
    process.terminate()
    process.wait()


def several(port: int, method: str, count: int = 8) -> list[Answer]:
    """The same request several times, so that each replica has its turn."""
    body = b'{"a": 1}' if method in ("POST", "PUT") else None
    return [ask(port, "/", method, body=body) for _ in range(count)]


METHODS = ["GET", "POST", "PUT", "DELETE"]


@pytest.mark.parametrize("method", METHODS)
def test_a_replica_that_is_away_is_passed_by(method: str, nginx: tuple[int, list[int]]) -> None:
    """Whatever the method, the other one gets the request, once."""
    port, (_, second) = nginx
    replica = Replica(second, OK)
    assert [reply.status for reply in several(port, method)] == [200] * 8
    assert replica.requests == [method] * 8
    replica.close()


@pytest.mark.parametrize("method", METHODS)
def test_what_was_sent_is_not_sent_again(method: str, nginx: tuple[int, list[int]]) -> None:
    """A replica that breaks off may have done it: the caller is told, the other isn't asked."""
    port, (first, second) = nginx
    broken, good = Replica(first, b""), Replica(second, OK)
    replies = several(port, method)
    assert {reply.status for reply in replies} == {200, 502}
    assert len(broken.requests) + len(good.requests) == len(replies)
    refusal = next(reply for reply in replies if reply.status == 502)
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.json()["status"] == 502
    broken.close()
    good.close()


def test_files_of_the_user_can_allow_larger_bodies(shipped: str, tmp_path: Path) -> None:
    """As `nginx.conf.d/README.md` says: nginx refuses a directive that stands there twice."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    program = program or support.require_engine("nginx")
    (tmp_path / "local").mkdir()
    (tmp_path / "local/bodies.conf").write_text("client_max_body_size 8m;\n")
    text = shipped.replace("include mime.types;", "").replace("/tmp/", f"{tmp_path}/")  # noqa: S108
    for name in ("app-1", "app-2"):
        text = text.replace(f"{name}:8000", "127.0.0.1:8000")
    (tmp_path / "nginx.conf").write_text(text.replace("/dev/stdout", f"{tmp_path}/access.log"))
    command = [program, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", "nginx.conf"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_with_no_replica_at_all_it_says_so(nginx: tuple[int, list[int]]) -> None:
    """At once, and without going round in circles."""
    port, _ = nginx
    assert {reply.status for reply in several(port, "GET", 4)} == {502}
