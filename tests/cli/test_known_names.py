"""The names that shells complete: whose, how long, and what never gets among them."""

import stat

import pytest

from uvcall.cli.known_names import keep


def kept(directory, kind):
    return (directory / "names" / kind).read_text(encoding="utf-8").splitlines()


def test_names_are_kept_for_this_user_only_and_replaced_whole(tmp_path):
    keep(tmp_path, "voices", [("Mark", "en-US a calm\nvoice"), ("Ana María", "es")])
    assert kept(tmp_path, "voices") == ["Ana María\tes", "Mark\ten-US a calm voice"]
    file = tmp_path / "names" / "voices"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    keep(tmp_path, "voices", [("Susi", "")])
    assert kept(tmp_path, "voices") == ["Susi\t"]
    assert [path.name for path in file.parent.iterdir()] == ["voices"]


@pytest.mark.parametrize(
    "name",
    [
        "$(reboot)",
        "`reboot`",
        "a\nb",
        "a\tb",
        "",
        " ",
        "-rf",
        "a;b",
        "a|b",
        'a"b',
        "a\\b",
        "*",
        "\x1b[31m",
        "\u202ex",
        "x" * 200,
    ],
)
def test_what_no_shell_should_see_is_left_out(tmp_path, name):
    keep(tmp_path, "agents", [(name, "about"), ("fine", "$(x)\x1b`y`")])
    assert kept(tmp_path, "agents") == ["fine\t(x) y"]


def test_a_directory_that_cannot_be_written_keeps_nothing_and_says_nothing(tmp_path):
    (tmp_path / "names").write_text("")
    keep(tmp_path, "voices", [("Mark", "")])
    keep(tmp_path / "nowhere", "voices", [("Mark", "")])
    assert (tmp_path / "names").read_text() == ""
