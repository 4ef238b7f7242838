"""The commands as scripts use them: real processes, their last lines and their exit status, one demo for all."""

from __future__ import annotations

import base64
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import chest_film, made_up_uid, part10_bytes
from processes import Answer, alive, ask, free_port, here, processes_of, running, safelight

from server.settings import DEMO_MARK

JSON = "application/dicom+json"
POLICIES = Path(__file__).resolve().parents[1] / "policies"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A running demo without sample films."""

    data: Path
    port: int

    def token(self, role: str, *arguments: str) -> str:
        done = here("token", role, "--data", self.data, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    def get(self, path: str, token: str, accept: str = JSON) -> Answer:
        return ask(self.port, "GET", path, headers={"Authorization": f"Bearer {token}", "Accept": accept})


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    root = tmp_path_factory.mktemp("demo")
    one = Demo(data=root / "data", port=free_port())
    arguments = ("demo", "--data", one.data, "--port", str(one.port), "--empty")
    with running(*arguments, port=one.port, log=root / "log") as pid:
        yield one
        family = processes_of(pid)
        assert family.screening, "the demo has a screening worker"
    _wait_until_gone(family.screening)


def _wait_until_gone(pids: tuple[int, ...]) -> None:
    """The screening worker notices that the demo has ended, and ends too."""
    until = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until, "the screening worker has outlived its demo"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def clinician(demo: Demo) -> str:
    return demo.token("clinician")


@pytest.fixture(scope="module")
def researcher(demo: Demo) -> str:
    return demo.token("researcher")


@pytest.fixture(scope="module")
def filled(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo with two imported and screened films of one study."""
    folder = tmp_path_factory.mktemp("films")
    for instance in (1, 2):
        (folder / f"{instance}.dcm").write_bytes(part10_bytes(chest_film(study=1, instance=instance)))
    imported = safelight("import", folder, "--data", demo.data)
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert "stored 2, refused 0" in imported.stdout
    drained = safelight("screen", "--drain", "--data", demo.data)
    assert drained.returncode == 0, drained.stderr
    return demo


def _claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def _frame(demo: Demo, token: str) -> bytes:
    """The samples of the first frame of the first film that a caller finds."""
    row = json.loads(demo.get("/dicomweb/instances?limit=1", token).body)[0]
    study, series, instance = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    path = f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/1"
    answer = demo.get(path, token, "application/octet-stream")
    assert answer.status == 200
    return answer.body


# The demo


def test_demo_is_ready_on_its_port_and_asks_for_a_token(demo: Demo) -> None:
    ready = ask(demo.port, "GET", "/healthz")
    assert (ready.status, ready.body) == (200, b"ok\n")
    assert ask(demo.port, "GET", "/dicomweb/studies").status == 401
    assert ask(demo.port, "GET", "/wado").status == 401


def test_demo_refuses_a_directory_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("somebody else's")
    done = safelight("demo", "--data", tmp_path, "--port", str(free_port()), "--empty")
    assert done.returncode == 1
    assert "not a demo's" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


def test_token_is_the_last_line_and_says_who(demo: Demo) -> None:
    done = safelight("token", "researcher", "--data", demo.data, "--user", "rosa", "--project", "lungs")
    claims = _claims(done.stdout.splitlines()[-1])
    assert (claims["sub"], claims["roles"], claims["project"]) == ("demo-rosa", ["researcher"], "lungs")
    assert demo.get("/dicomweb/studies", done.stdout.splitlines()[-1]).status in {200, 204}


def test_token_refuses_a_directory_that_no_demo_made(production: Production) -> None:
    done = here("token", "clinician", "--data", production.data)
    assert done.returncode == 1
    assert "not the data directory of a demo" in done.stderr
    assert not done.stdout


def test_drained_films_are_shown_to_a_researcher_beyond_the_mosaic(
    filled: Demo, clinician: str, researcher: str
) -> None:
    """Whole mosaics have two tones; what has been screened has as many as a film."""
    assert len(set(_frame(filled, clinician))) > 32
    assert len(set(_frame(filled, researcher))) > 32


# Import


def test_import_takes_folders_and_zips_and_says_what_it_refused(filled: Demo, tmp_path: Path) -> None:
    inner = tmp_path / "films" / "deeper"
    inner.mkdir(parents=True)
    film = part10_bytes(chest_film(study=2, instance=1, patient=2))
    (inner / "good.dcm").write_bytes(film)
    (inner / "notes.txt").write_text("CANARY-NOTE is no film")
    (inner / "cut.dcm").write_bytes(film[: len(film) // 2])
    (inner / "odd.dcm").write_bytes(film + b"PK\x05\x06" + b"\xff" * 18)
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CANARY-NAME/good", part10_bytes(chest_film(study=2, instance=2, patient=2)))
        archive.writestr("CANARY-NAME/other", part10_bytes(chest_film(study=2, instance=2, patient=2, StudyID="X")))
        archive.writestr("CANARY-NAME/junk", b"junk")

    done = safelight("import", tmp_path / "films", tmp_path / "films.zip", "--data", filled.data)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    summary = next(number for number, line in enumerate(lines) if line.startswith("stored "))
    assert lines[summary] == "stored 2, refused 5"
    reasons = lines[summary + 1 :]
    assert len(reasons) == 5
    assert all(line.startswith("  refused ") and line.partition(": ")[2] for line in reasons)
    assert any("another" in line for line in reasons if "films.zip" in line)
    assert "CANARY" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_import_of_the_same_films_again_succeeds(filled: Demo, tmp_path: Path) -> None:
    (tmp_path / "again.dcm").write_bytes(part10_bytes(chest_film(study=1, instance=1)))
    done = safelight("import", tmp_path / "again.dcm", "--data", filled.data)
    assert done.returncode == 0, done.stdout
    assert "stored 1, refused 0" in done.stdout


# Governance


def test_label_sets_who_may_see_a_study(filled: Demo) -> None:
    study = made_up_uid("study", 1)
    cardiologist = filled.token("clinician", "--user", "carla", "--department", "cardiology")
    metadata = f"/dicomweb/studies/{study}/metadata"
    assert filled.get(metadata, cardiologist).status == 404
    done = here("label", study, "--department", "cardiology", "--data", filled.data)
    assert done.returncode == 0, done.stderr
    assert filled.get(metadata, cardiologist).status == 200
    assert here("label", study, "--data", filled.data).returncode == 0
    assert filled.get(metadata, cardiologist).status == 404


def test_label_of_an_unknown_study_fails_in_one_line(filled: Demo) -> None:
    done = here("label", "1.2.3.4", "--department", "cardiology", "--data", filled.data)
    assert (done.returncode, done.stderr.strip()) == (1, "safelight: not found")


def test_rotated_keys_leave_films_and_pseudonyms_as_they_are(filled: Demo, clinician: str, researcher: str) -> None:
    keyring = filled.data.with_name("data.keys") / "keyring.json"
    before = keyring.read_bytes()
    listed = {token: json.loads(filled.get("/dicomweb/instances", token).body) for token in (clinician, researcher)}
    frames = {token: _frame(filled, token) for token in (clinician, researcher)}
    root = (filled.data / "root.key").read_bytes()

    done = safelight("keys", "rotate", "--data", filled.data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("keys wrapped anew")
    assert keyring.read_bytes() != before
    assert (filled.data / "root.key").read_bytes() != root
    assert keyring.stat().st_mode & 0o777 == 0o600
    for token in (clinician, researcher):
        assert json.loads(filled.get("/dicomweb/instances", token).body) == listed[token]
        assert _frame(filled, token) == frames[token]


def test_audit_shows_identities_only_when_asked(filled: Demo, clinician: str) -> None:
    study = made_up_uid("study", 1)
    assert filled.get(f"/dicomweb/studies/{study}/metadata", clinician).status == 200
    plain = here("audit", "show", "--data", filled.data)
    assert plain.returncode == 0, plain.stderr
    assert "retrieve-metadata" in plain.stdout
    assert "demo-clinician" not in plain.stdout
    assert study not in plain.stdout
    opened = here("audit", "show", "--identities", "--last", "500", "--data", filled.data)
    assert "demo-clinician" in opened.stdout
    assert study in opened.stdout


def test_audit_verify_names_the_first_broken_entry(filled: Demo, tmp_path: Path) -> None:
    whole = safelight("audit", "verify", "--data", filled.data)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.strip().endswith("entries, unbroken")
    copy = tmp_path / "journal"
    shutil.copytree(filled.data / "journal", copy)
    noted = whole.stdout.splitlines()[0]
    assert here("audit", "verify", "--journal", copy, "--noted", noted).returncode == 0
    later = noted.replace("head ", "head 9", 1)
    assert here("audit", "verify", "--journal", copy, "--noted", later).returncode == 1
    file = copy / "journal-000001.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"status":', b'"status":1', 1)
    file.write_bytes(b"".join(lines))
    broken = here("audit", "verify", "--journal", copy)
    assert broken.returncode == 1
    assert "seq=3" in broken.stderr
    assert "journal-000001.jsonl" in broken.stderr


def test_policy_explains_a_decision(filled: Demo) -> None:
    study = made_up_uid("study", 1)
    done = safelight(
        "policy", "explain", "--role", "researcher", "--project", "p", "--study", study, "--data", filled.data
    )
    assert done.returncode == 0, done.stderr
    assert "deidentified" in done.stdout
    unknown = here("policy", "explain", "--role", "researcher", "--study", "1.2.3.4", "--data", filled.data)
    assert (unknown.returncode, unknown.stderr.strip()) == (1, "no such study")


def test_policy_check_and_test_pass_for_what_is_shipped() -> None:
    checked = safelight("policy", "check")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("valid: ")
    cases = here("policy", "test")
    assert cases.returncode == 0, cases.stdout
    assert all(line.startswith("ok\t") for line in cases.stdout.splitlines())


def test_policy_check_names_what_is_wrong(tmp_path: Path) -> None:
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    level = copy / "levels" / "deidentified.toml"
    level.write_text(level.read_text().replace('text = "mosaic"', 'text = "kep"', 1))
    done = here("policy", "check", "--policies", copy)
    assert done.returncode == 1
    assert "deidentified" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"keep = true", None])
def test_policy_check_reads_the_list_of_devices(tmp_path: Path, content: bytes | None) -> None:
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    (copy / "devices.toml").unlink()
    if content is not None:
        (copy / "devices.toml").write_bytes(content)
    done = here("policy", "check", "--policies", copy)
    assert done.returncode == 1
    assert "devices.toml" in done.stderr
    assert "Traceback" not in done.stderr


# Production


@dataclass(frozen=True, kw_only=True)
class Production:
    """A production server that was set up but does not run."""

    data: Path
    port: int
    env: dict[str, str]

    def but(self, **changes: str | Path) -> dict[str, str]:
        return self.env | {f"SAFELIGHT_{name.upper()}": str(value) for name, value in changes.items()}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Production:
    root = tmp_path_factory.mktemp("production")
    port = free_port()
    values = {
        "DATA": root / "data",
        "KEYRING": root / "keys" / "keyring.json",
        "ISSUER": "https://login.example.org/realms/films",
        "AUDIENCE": "https://films.example.org",
        "PUBLIC_URL": "https://films.example.org",
        "PORT": port,
        "WORKERS": 1,
    }
    env = {f"SAFELIGHT_{name}": str(value) for name, value in values.items()}
    done = safelight("init", env=env)
    assert done.returncode == 0, done.stderr
    assert "Copy the keyring" in done.stdout
    return Production(data=root / "data", port=port, env=env)


def test_init_makes_private_keys_apart_from_the_data_and_only_once(production: Production) -> None:
    keyring = Path(production.env["SAFELIGHT_KEYRING"])
    assert keyring.stat().st_mode & 0o777 == 0o600
    assert keyring.parent.stat().st_mode & 0o777 == 0o700
    before = keyring.read_bytes()
    again = here("init", env=production.env)
    assert again.returncode == 1
    assert "already" in again.stderr
    assert keyring.read_bytes() == before


def test_drain_screens_what_was_imported_where_no_server_runs(production: Production, tmp_path: Path) -> None:
    (tmp_path / "film.dcm").write_bytes(part10_bytes(chest_film()))
    imported = here("import", tmp_path / "film.dcm", env=production.env)
    assert imported.returncode == 0, imported.stderr
    shown = here("audit", "show", env=production.env)
    assert "screened: " not in shown.stdout
    drained = safelight("screen", "--drain", env=production.env)
    assert drained.returncode == 0, drained.stderr
    shown = here("audit", "show", env=production.env)
    assert "screened: " in shown.stdout


def test_serve_answers_and_knows_no_demo(production: Production, demo: Demo, clinician: str, tmp_path: Path) -> None:
    with running("serve", port=production.port, log=tmp_path / "log", env=production.env):
        bearer = {"Authorization": f"Bearer {clinician}"}
        assert ask(production.port, "GET", "/dicomweb/studies").status == 401
        # Its keys can't be had, so nobody is let in; the demo's token, least of all.
        assert ask(production.port, "GET", "/dicomweb/studies", headers=bearer).status in {401, 503}
        assert ask(production.port, "GET", "/provider/demo/.well-known/openid-configuration").status == 404
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_serve_takes_its_settings_from_one_file(production: Production, tmp_path: Path) -> None:
    """Read, and refused for the one thing in it that is wrong: the environment wins over the file."""
    file = tmp_path / "safelight.toml"
    lines = [f'{name.removeprefix("SAFELIGHT_").lower()} = "{value}"' for name, value in production.env.items()]
    file.write_text("\n".join([*lines, 'host = "0.0.0.0"']))
    done = here("serve", env={"SAFELIGHT_CONFIG": str(file)})
    assert done.returncode == 1
    assert "plaintext" in done.stderr
    file.write_text("\n".join([*lines, 'colour = "red"']))
    assert "unknown settings: colour" in here("serve", env={"SAFELIGHT_CONFIG": str(file)}).stderr


def test_serve_names_every_setting_that_is_missing() -> None:
    done = safelight("serve")
    assert done.returncode == 1
    for name in ("audience", "data", "issuer", "keyring", "public_url"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_serve_refuses_a_directory_of_the_demo_on_whatever_address(
    production: Production, demo: Demo, tmp_path: Path, host: str
) -> None:
    pem = tmp_path / "pem"
    pem.touch()
    changed = production.but(data=demo.data, host=host, certificate=pem, certificate_key=pem)
    done = here("serve", env=changed)
    assert (done.returncode, done.stderr.strip()) == (1, "safelight: this data directory belongs to the demo")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "https://films.example.org"])
def test_serve_refuses_the_issuer_of_the_demo(production: Production, origin: str) -> None:
    done = here("serve", env=production.but(issuer=f"{origin}/provider/demo"))
    assert done.returncode == 1
    assert "not an issuer for a real server" in done.stderr


def test_serve_refuses_a_keyring_that_others_can_read(production: Production) -> None:
    keyring = Path(production.env["SAFELIGHT_KEYRING"])
    keyring.chmod(0o640)
    try:
        done = safelight("serve", env=production.env)
    finally:
        keyring.chmod(0o600)
    assert done.returncode == 1
    assert "0600" in done.stderr


def test_init_refuses_a_keyring_inside_the_data(production: Production, tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = here("init", env=production.but(data=data, keyring=data / "keys" / "keyring.json"))
    assert done.returncode == 1
    assert "data directory" in done.stderr
    assert not list(tmp_path.rglob("keyring.json"))


def test_init_refuses_to_become_a_demo(production: Production, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DEMO_MARK).write_text('{"port": 1}')
    done = here("init", env=production.but(data=tmp_path / "data", keyring=tmp_path / "keys" / "k.json"))
    assert done.returncode == 1
    assert not (tmp_path / "keys").exists()


def test_what_the_rules_look_at_is_set_by_command(filled: Demo) -> None:
    study = made_up_uid("study", 1)

    def ran(*words: str) -> str:
        done = here(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    as_researcher = ("policy", "explain", "--as", "researcher", "--study", study, "--data", str(filled.data))
    assert "decision: answered at level deidentified" in ran(*as_researcher)
    ran("label", study, "--department", "radiology", "--label", "vip", "--data", str(filled.data))
    told = ran(*as_researcher)
    assert "forbidden by not-for-projects" in told
    assert "otherwise: level deidentified, if it were not labelled vip" in told
    ran("label", study, "--department", "radiology", "--label", "none", "--data", str(filled.data))
    words = ("--disclosure", "unsaid", "--research", "opt-out", "--data", str(filled.data))
    assert "recorded for" in ran("consent", study, *words)
    assert "forbidden by research-refused" in ran(*as_researcher)
    ran("consent", study, "--disclosure", "unsaid", "--research", "unsaid", "--data", str(filled.data))
    ran("project", "approve", "demo-project", "2020-01-31", "--data", str(filled.data))
    assert ran("project", "list", "--data", str(filled.data)) == "2020-01-31\tdemo-project\n"
    assert "no rule permits it" in ran(*as_researcher)
    ran("project", "approve", "demo-project", "2999-12-31", "--data", str(filled.data))
    assert "decision: answered at level deidentified" in ran(*as_researcher)


def test_two_policies_are_compared(tmp_path: Path) -> None:
    changed = tmp_path / "policies"
    shutil.copytree(POLICIES, changed)
    same = here("policy", "diff", str(POLICIES), str(changed))
    assert (same.returncode, same.stdout) == (0, "0 differences\n")
    rules = changed / "front-desk.cedar"
    start = rules.read_text().index('@id("front-desk-consent")')
    rules.write_text(rules.read_text()[:start])
    cases = changed / "cases" / "safeguards.toml"
    cases.write_text(cases.read_text().replace('expect = "granted"', 'expect = "forbidden"', 1))
    found = here("policy", "diff", str(POLICIES), str(changed))
    assert found.returncode == 1
    assert found.stdout.splitlines()[0] == "front-desk loses record-consent in 1 of 1 situations"
