"""Signed plans: what a gateway with a key takes, and what it refuses."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from cloud.lighting import signing
from edge.downlink import ACTIVE, Plans
from edge.signature import PlanKeys, public_key
from protocols import signed
from protocols.documents import DocumentError
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import Fallback, GroupPlan, Plan, Slot, decode_plan, encode_plan, plan_hash
from protocols.time import US_PER_S, TimeUs

NOW_US = TimeUs(1_790_000_000 * US_PER_S)
DAY_US = 86_400 * US_PER_S
GROUP = GroupPlan(
    GroupId("rue-haute"),
    (DeviceId("lamp-00"),),
    (Slot(TimeUs(NOW_US - DAY_US), 50.0),),
    Fallback(-0.833, 100.0),
)
PLAN = Plan(
    "p1",
    GatewayId("cab-1"),
    NOW_US,
    TimeUs(NOW_US - DAY_US),
    TimeUs(NOW_US + 7 * DAY_US),
    49.5,
    5.8,
    (GROUP,),
)
DOCUMENT = encode_plan(PLAN)


@pytest.fixture
def signer(tmp_path: Path) -> signing.PlanSigner:
    return signing.create(tmp_path / "plan.key")


def keys(*signers: signing.PlanSigner) -> PlanKeys:
    return PlanKeys(public_key(signer.public_key or "") for signer in signers)


def test_a_signed_plan_is_taken_saved_and_trusted_after_a_restart(
    tmp_path: Path, signer: signing.PlanSigner
) -> None:
    document = signer.sealed(DOCUMENT)
    plans = Plans(tmp_path, PLAN.gateway, keys(signer))
    assert plans.offer(document, now_us=NOW_US)
    assert plans.active is not None
    assert plans.active.hash == plan_hash(document)
    again = Plans(tmp_path, PLAN.gateway, keys(signer))
    assert again.current(NOW_US) == PLAN
    assert decode_plan(document) == PLAN


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda signed_plan: DOCUMENT, "not signed"),
        (lambda signed_plan: signed_plan.replace(b"50.0", b"10.0"), "signature"),
        (lambda signed_plan: signed_plan.replace(b" plan ", b" other "), "not one of ours"),
        (lambda signed_plan: signed_plan[:-1], "signature"),
        (lambda signed_plan: b"eclor-signed-1 plan\n{}", "header"),
        (lambda signed_plan: b"eclor-signed-1 plan k !!\n{}", "header"),
        (lambda signed_plan: b"eclor-signed-1 plan k QUJD\n{}", "3 bytes"),
    ],
)
def test_what_is_not_signed_by_the_key_is_refused_and_the_plan_stays(
    tmp_path: Path, signer: signing.PlanSigner, change: object, fault: str
) -> None:
    assert callable(change)
    plans = Plans(tmp_path, PLAN.gateway, keys(signer))
    plans.offer(signer.sealed(DOCUMENT), now_us=NOW_US)
    newer = signer.sealed(encode_plan(replace(PLAN, issued_us=TimeUs(NOW_US + 1))))
    assert not plans.offer(change(newer), now_us=NOW_US)
    assert plans.refusal is not None
    assert fault in plans.refusal.error
    assert plans.current(NOW_US) == PLAN


def test_a_stranger_s_key_signs_nothing_and_the_next_key_does(
    tmp_path: Path, signer: signing.PlanSigner
) -> None:
    other = signing.create(tmp_path / "other.key")
    document = other.sealed(DOCUMENT)
    with pytest.raises(DocumentError, match="not one of ours"):
        keys(signer).check(document)
    keys(signer, other).check(document)


def test_a_plan_changed_on_the_disk_is_not_executed(
    tmp_path: Path, signer: signing.PlanSigner
) -> None:
    Plans(tmp_path, PLAN.gateway, keys(signer)).offer(signer.sealed(DOCUMENT), now_us=NOW_US)
    file = tmp_path / ACTIVE
    file.write_bytes(file.read_bytes().replace(b"50.0", b"00.0"))
    assert Plans(tmp_path, PLAN.gateway, keys(signer)).active is None


def test_a_gateway_without_a_key_takes_no_plan(tmp_path: Path, signer: signing.PlanSigner) -> None:
    plans = Plans(tmp_path, PLAN.gateway, PlanKeys())
    for document in (DOCUMENT, signer.sealed(DOCUMENT)):
        assert not plans.offer(document, now_us=NOW_US)
        assert plans.refusal is not None
        assert "plan_key is missing" in plans.refusal.error
    assert plans.current(NOW_US) is None


def test_a_gateway_that_is_told_so_takes_any_plan(
    tmp_path: Path, signer: signing.PlanSigner
) -> None:
    plans = Plans(tmp_path, PLAN.gateway, PlanKeys(unsigned=True))
    assert plans.offer(DOCUMENT, now_us=NOW_US)
    assert plans.offer(signer.sealed(DOCUMENT), now_us=NOW_US)


def test_the_signature_is_that_of_rfc_8032() -> None:
    # RFC 8032, 7.1, TEST 1: the empty message. Ours is never empty, so the primitive is asked.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    from nacl.signing import SigningKey

    key = SigningKey(seed)
    assert bytes(key.verify_key).hex() == public
    assert key.sign(b"").signature.hex().startswith("e5564300c360ac729086e2cc806e828a")
    assert signed.key_id(bytes(key.verify_key)) == "21fe31dfa154a261"


def test_the_command_makes_a_key_once_and_shows_its_public_half(tmp_path: Path) -> None:
    file = tmp_path / "plan.key"
    made = CliRunner().invoke(main, ["lighting", "key", "create", str(file)])
    shown = CliRunner().invoke(main, ["lighting", "key", "show", str(file), "--json"])
    assert made.exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(shown.output)["plan_key"]
    assert made.output == f'plan_key = "{told}"\n'
    assert len(base64.b64decode(told)) == 32
    twice = CliRunner().invoke(main, ["lighting", "key", "create", str(file)])
    assert (twice.exit_code, "does not exist" in twice.output) == (1, True)


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [(b"abc\n", 0o600, "not a key file"), (b"abc\n", 0o644, "chmod 600"), (None, 0, "key create")],
)
def test_a_key_file_that_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, content: bytes | None, mode: int, fault: str
) -> None:
    file = tmp_path / "plan.key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    shown = CliRunner().invoke(main, ["lighting", "key", "show", str(file)])
    assert shown.exit_code == 1
    assert fault in shown.output
    assert "Traceback" not in shown.output


@pytest.mark.parametrize("mode", [0o440, 0o400])
def test_a_credential_of_systemd_may_have_the_mask_of_its_access_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    file = tmp_path / "plan.key"
    public = signing.create(file).public_key
    file.chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert signing.load(file).public_key == public


@pytest.mark.parametrize(("mode", "directory"), [(0o444, "."), (0o460, "."), (0o440, "elsewhere")])
def test_a_key_that_others_may_read_is_refused_as_a_credential_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, directory: str
) -> None:
    file = tmp_path / "plan.key"
    signing.create(file)
    file.chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / directory))
    with pytest.raises(signing.KeyFileError, match="others may read"):
        signing.load(file)
