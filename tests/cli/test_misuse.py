"""What the argument parser refuses, in the words of all other errors: what, how to mend it, exit code 2."""

import pytest

LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("argv", "error", "mend"),
    [
        (("dial", "--provder", "x"), "there is no option --provder", "did you mean --provider?"),
        (("--profle", "x"), "there is no option --profle", "did you mean --profile?"),
        (("dial", "--zzz"), "there is no option --zzz", "uvcall dial --help lists the options"),
        (("dial", "+1", "-qz"), "there is no option -z", "uvcall dial --help lists the options"),
        (("dail",), "there is no command 'dail'", "did you mean dial?"),
        (("calls", "lst"), "there is no command 'lst'", "did you mean list?"),
        (("calls", "zzz"), "there is no command 'zzz'", "uvcall calls --help lists the commands"),
        (("dial",), "TO is missing", "uvcall dial --help shows what the command needs"),
        (("config", "set"), "KEY is missing", "uvcall config set --help shows what the command needs"),
        (("dial", "+1", "--provider"), "--provider needs a value", "write it with one: --provider VALUE"),
        (("dial", "+1", "--json", "--zzz"), "there is no option --zzz", "uvcall dial --help lists the options"),
        (("dial", "+1", "--json=3"), "--json takes no value", "write --json alone"),
        (("dial", "+1", "--temperature", "warm"), "--temperature: 'warm' is not a number", "uvcall dial --help"),
        (("calls", "list", "--limit", "x"), "--limit: 'x' is not a whole number", "uvcall calls list --help"),
        (("calls", "list", "--limit", "0"), "--limit: 0 is not in the range 1<=x<=1000000", "uvcall calls list --help"),
        (("dial", "+1", "--via", "air"), "--via: 'air' is not one of 'sdk', 'ultravox'", "uvcall dial --help says"),
        (("dial", "+1", "--prompt", "Say", "hello"), "one argument too many: hello", "put quotes around"),
        (("dial", "--bo\x1b[31mgus\x07"), r"there is no option --bo\x1b[31mgus\x07", "uvcall dial --help"),
        (("da\x1b[31m\nerror: x",), r"there is no command 'da\x1b[31m\nerror: x'", "uvcall --help"),
        (("dial", "+1", "--via", "\x9b31m\u202e"), r"--via: '\x9b31m\u202e' is not one of", "uvcall dial --help"),
        (("dial", "+1", "\r\nroot"), r"one argument too many: \x0d\x0aroot", "put quotes around"),
        (("dial", "+1", "--via", "\udcff"), r"argument 4 is not UTF-8 text: '\udcff'", "type it anew"),
        (("dial", "+1", "--via", LONG), "--via: 'xxx", "uvcall dial --help"),
        ((LONG,), "there is no command 'xxx", "uvcall --help"),
    ],
    ids=lambda value: None if isinstance(value, tuple) else value[:30].encode("unicode_escape").decode(),
)  # fmt: skip
def test_two_lines_and_nothing_on_stdout(run_uvcall, argv, error, mend):
    ran = run_uvcall(*argv)
    assert (ran.code, ran.stdout) == (2, "")
    said, hint = ran.stderr.splitlines()
    assert said.startswith(f"error: {error}")
    assert hint.startswith(f"  mend: {mend}")
    assert len(said) < 600
    assert said.isprintable()


def test_what_looks_like_a_secret_is_not_repeated(run_uvcall):
    key = "KEY" + "0123456789ABCDEF" * 2 + "_abcdefghijklmnop"
    for argv in (("config", "set", "telnyx.api_key", "-", key), (key,), ("calls", key)):
        ran = run_uvcall(*argv)
        assert ran.code == 2
        assert key not in ran.stderr


@pytest.mark.parametrize("variable", ["UVCALL_CONFIG", "UVCALL_STATE_DIR"])
@pytest.mark.parametrize("argv", [("config", "list"), ("calls", "list"), ("config", "path")], ids=" ".join)
def test_the_home_of_nobody_is_a_path_like_any_other(run_uvcall, home, variable, argv):
    ran = run_uvcall(*argv, env={variable: "~nobody-of-this-name/x"})
    assert ran.code == 0
    assert {path.name for path in home.iterdir()} <= {"uvcall", "~nobody-of-this-name"}


@pytest.mark.parametrize("instruction", ["complete_bash", "source_zsh", "x"])
def test_the_parsers_own_completion_is_not_to_be_had(run_uvcall, instruction):
    ran = run_uvcall("config", "path", env={"_UVCALL_COMPLETE": instruction})
    assert (ran.code, ran.stderr) == (0, "")
