"""The completion script for zsh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from uvcall.cli.completions.tree import Command, Kind, Option, Slot
from uvcall.cli.known_names import FOLDER, KEPT_DAYS

_HEAD: Final = """#compdef uvcall
# zsh completion for uvcall: generated from the program's command tree.

# `@` and a file name, or any text.
_uvcall_at_file() {
  if compset -P '@'; then
    _files
  elif [[ -z $PREFIX ]]; then
    compadd -S '' -- @
  fi
}

# The names of agents, voices or models that `uvcall config $1` has listed in the last @days@ days.
_uvcall_known() {
  local dir=${UVCALL_STATE_DIR:-} name about
  if [[ -z $dir ]]; then
    case $OSTYPE in
      darwin*) dir="$HOME/Library/Application Support/uvcall" ;;
      *) dir=${XDG_STATE_HOME:-$HOME/.local/state}/uvcall ;;
    esac
  fi
  local -a files=($dir/@folder@/$1(N.m-@days@)) found=()
  (( $#files )) || return 1
  while IFS=$'\t' read -r name about; do
    found+=("${name//:/\\:}:$about")
  done < $files[1]
  _describe -t names $1 found
}
"""

_TAIL: Final = """
if [[ $funcstack[1] == _uvcall ]]; then
  _uvcall "$@"
else
  compdef _uvcall uvcall
fi
"""

_ACTIONS: Final = {
    Kind.FREE: " ",
    Kind.FILE: "_files",
    Kind.DIRECTORY: "_files -/",
    Kind.AT_FILE: "_uvcall_at_file",
}


def script(tree: Command) -> str:
    """Return the script: one function for each command."""
    head = _HEAD.replace("@folder@", FOLDER).replace("@days@", str(KEPT_DAYS))
    return head + "".join(_function(command) for command in tree.walk()) + _TAIL


def _function(command: Command) -> str:
    specs = [spec for option in command.options for spec in _option(option)]
    if command.commands:
        specs += [_quote("1: :->command"), _quote("*:: :->rest")]
    else:
        specs += [_quote(f"{place}:{_plain(slot.label)}:{_action(slot)}") for place, slot in _places(command)]
    lines = [
        "",
        f"{_name(command)}() {{",
        "  local curcontext=$curcontext state line ret=1",
        "  local -A opt_args",
        "  _arguments -s -S -C \\",
        *(f"    {spec} \\" for spec in specs),
        "    && ret=0",
    ]
    if command.commands:
        described = [_quote(f"{_plain(sub.path[-1])}:{sub.about}") for sub in command.commands]
        lines += [
            "  case $state in",
            "    command)",
            "      local -a commands=(",
            *(f"        {entry}" for entry in described),
            "      )",
            "      _describe -t commands command commands && ret=0",
            "      ;;",
            "    rest)",
            "      case $words[1] in",
            *(f"        {sub.path[-1]}) {_name(sub)} && ret=0 ;;" for sub in command.commands),
            "      esac",
            "      ;;",
            "  esac",
        ]
    return "\n".join([*lines, "  return ret", "}", ""])


def _name(command: Command) -> str:
    return "_".join(("_uvcall", *command.path)).replace("-", "_")


def _places(command: Command) -> Iterator[tuple[int, Slot]]:
    return enumerate(command.arguments, start=1)


def _option(option: Option) -> Iterator[str]:
    value = f":{_plain(option.slot.label)}:{_action(option.slot)}" if option.slot else ""
    every = (*option.names, *option.opposites)
    rivals = "" if option.repeatable or len(every) == 1 else f"({' '.join(every)})"
    for name in every:
        # `--name=` accepts both `--name value` and `--name=value`; a short option has its value beside it.
        mark = "" if not option.slot else "=" if name.startswith("--") else "+"
        star = "*" if option.repeatable else ""
        yield _quote(f"{rivals}{star}{name}{mark}[{_bracketed(option.about)}]{value}")


def _action(slot: Slot) -> str:
    if slot.kind is Kind.LIST:
        return f"{{_values -s , {_plain(slot.label)} {' '.join(word for word, _ in slot.words)}}}"
    if slot.kind is Kind.WORDS and any(about for _, about in slot.words):
        return "((" + " ".join(f'{_plain(word)}\\:"{_doubled(about)}"' for word, about in slot.words) + "))"
    if slot.kind is Kind.WORDS:
        return "(" + " ".join(_plain(word) for word, _ in slot.words) + ")"
    if slot.kind is Kind.KNOWN:
        return f" _uvcall_known {slot.words[0][0]}"  # with a blank before it: without further arguments
    return _ACTIONS[slot.kind]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _plain(text: str) -> str:
    return text.replace(":", "\\:")


def _bracketed(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _doubled(text: str) -> str:
    return "".join("\\" + char if char in '\\"$`:()' else char for char in text)
