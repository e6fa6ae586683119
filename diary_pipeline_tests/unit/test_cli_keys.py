"""`diary keys`: the key to standard output alone, once; lists without secrets."""

import csv
import io
import json
import re

import pytest

from diary_pipeline_tests.commands import Run


def test_a_key_is_printed_once_and_alone(run: Run) -> None:
    made = run("keys", "create", "--user", "ada", "--scopes", "submit,read", "--expires", "90d", "--name", "phone")
    assert made.code == 0, made.err
    assert re.fullmatch(r"dk_[0-9a-f]{12}_[0-9a-f]{64}\n", made.out)
    secret = made.out.strip().rpartition("_")[2]
    assert secret not in made.err
    for form in ("table", "json", "csv"):
        assert secret not in run("keys", "list", "--format", form).out


def test_keys_are_listed_as_table_json_and_csv(run: Run) -> None:
    id = run("keys", "create", "--user", "ada", "--name", "phone").out.split("_")[1]
    run("keys", "create", "--scopes", "admin", "--expires", "never", "--name", "office")
    listed = json.loads(run("keys", "list", "--format", "json").out)
    assert [(key["name"], key["user_id"], key["scopes"], key["state"]) for key in listed] == [
        ("office", None, "admin", "good"),
        ("phone", "ada", "submit,read", "good"),
    ]
    assert listed[0]["expires_at"] is None
    assert listed[1]["expires_at"] > listed[1]["created_at"]
    assert [row["id"] for row in csv.DictReader(io.StringIO(run("keys", "list", "-f", "csv").out))][1] == id
    assert id in run("keys", "list").out


def test_a_key_is_revoked_by_its_id(run: Run) -> None:
    id = run("keys", "create").out.split("_")[1]
    assert run("keys", "revoke", id).code == 0
    assert json.loads(run("keys", "list", "--format", "json").out)[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "--scopes", "root"), "scope_unknown"),
        (("create", "--expires", "soon"), "expiry_invalid"),
        (("create", "--expires", "0d"), "expiry_invalid"),
        (("create", "--tier", "gold"), "tier_unknown"),
        (("create", "--user", "../ada"), "owner_invalid"),
        (("revoke", "nobody"), "home_missing"),
        (("list",), "home_missing"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(run: Run, arguments: tuple[str, ...], code: str) -> None:
    refused = run("keys", *arguments)
    assert refused.code == 2
    assert f"[{code}]" in refused.err
    assert refused.out == ""


def test_a_key_may_have_any_tier_of_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIARY_RATE_TIERS", "gold=600/minute; 20000/hour")
    assert run("keys", "create", "--tier", "gold").code == 0
    assert json.loads(run("keys", "list", "--format", "json").out)[0]["tier"] == "gold"


def test_a_limit_that_nobody_can_read_is_a_broken_configuration(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (
        ("DIARY_RATE_TIERS", "gold"),
        ("DIARY_RATE_LIMITS", "sixty/minute"),
        ("DIARY_TRUSTED_PROXIES", "proxy.example"),
        ("DIARY_API_ORIGINS", "*"),
        ("DIARY_API_ORIGINS", "https://app.example/path"),
    ):
        with monkeypatch.context() as broken:
            broken.setenv(variable, value)
            refused = run("keys", "create")
        assert refused.code == 2
        assert variable in refused.err
