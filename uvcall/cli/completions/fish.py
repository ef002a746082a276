"""The completion script for fish, from version 3.0 on."""

from __future__ import annotations

from typing import Final

from uvcall.cli.completions.tree import Command, Kind, Option, Slot
from uvcall.cli.known_names import FOLDER, KEPT_DAYS

_HEAD: Final = """# fish completion for uvcall: generated from the program's command tree.

set -g __uvcall_commands @commands@
set -g __uvcall_takes @takes@

# Succeed where the words before the cursor name exactly the command $argv[1] and $argv[2] arguments, if that is given.
function __uvcall_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l command ''
    set -l position 0
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case '-*=*'
            case '-*'
                contains -- "$command $word" $__uvcall_takes
                and set skip 1
            case '*'
                if contains -- (string trim -- "$command $word") $__uvcall_commands
                    set command (string trim -- "$command $word")
                else
                    set position (math $position + 1)
                end
        end
    end
    test "$command" = "$argv[1]"
    and test (count $argv) -lt 2 -o "$position" = "$argv[2]"
end

# The current word, or what follows the `=` in it.
function __uvcall_value
    commandline -ct | string replace -r -- '^--[^=]*=' ''
end

# Words with commas between them.
function __uvcall_list
    set -l done (__uvcall_value | string replace -r -- '[^,]*$' '')
    printf '%s\\n' "$done"$argv
end

# `@` and a file name.
function __uvcall_at_file
    set -l token (__uvcall_value)
    if string match -q -- '@*' "$token"
        printf '@%s\\n' (__fish_complete_path (string sub -s 2 -- "$token"))
    else
        echo @
    end
end

# The names of agents, voices or models that `uvcall config $argv[1]` has listed in the last @days@ days.
function __uvcall_known
    set -l dir $UVCALL_STATE_DIR
    if test -z "$dir"
        if test (uname) = Darwin
            set dir "$HOME/Library/Application Support/uvcall"
        else if test -n "$XDG_STATE_HOME"
            set dir $XDG_STATE_HOME/uvcall
        else
            set dir $HOME/.local/state/uvcall
        end
    end
    set -l file $dir/@folder@/$argv[1]
    if test -r "$file"
        set -l fresh (find $file -mtime -@days@ 2>/dev/null)
        test -n "$fresh"
        and cat $file
    end
end

complete -c uvcall -f
"""

#: What is offered for a value; `-F` also takes back that no files are.
_OFFERS: Final = {
    Kind.FREE: "",
    Kind.FILE: "-F",
    Kind.AT_FILE: "-a '(__uvcall_at_file)'",
    Kind.DIRECTORY: "-a '(__fish_complete_directories (__uvcall_value))'",
}


def script(tree: Command) -> str:
    """Return the script."""
    lines: list[str] = []
    takes: list[str] = []
    for command in tree.walk():
        path = " ".join(command.path)
        here = f"complete -c uvcall -n {_quote(f'__uvcall_at {_quote(path)}')}"
        lines.append("")
        for sub in command.commands:
            first = f"complete -c uvcall -n {_quote(f'__uvcall_at {_quote(path)} 0')}"
            lines.append(f"{first} -a {sub.path[-1]} -d {_quote(sub.about)}")
        for position, slot in enumerate(command.arguments):
            if slot.kind is not Kind.FREE:
                place = f"complete -c uvcall -n {_quote(f'__uvcall_at {_quote(path)} {position}')}"
                lines.append(f"{place} {_offer(slot)}")
        for option in command.options:
            lines += _option(here, option)
            takes += [f"{path} {name}" for name in option.names if option.slot]
    commands = [" ".join(command.path) for command in tree.walk() if command.path]
    head = _HEAD.replace("@folder@", FOLDER).replace("@days@", str(KEPT_DAYS))
    head = head.replace("@commands@", _quoted(commands)).replace("@takes@", _quoted(takes))
    return head + "\n".join(lines) + "\n"


def _option(here: str, option: Option) -> list[str]:
    about = f" -d {_quote(option.about)}" if option.about else ""
    value = ""
    if option.slot is not None:
        value = f" -r {'' if option.slot.kind is Kind.FILE else '-f '}{_offer(option.slot)}".rstrip()
    lines = [here + "".join(f" {_name(name)}" for name in option.names) + value + about]
    lines += [f"{here} {_name(name)}{about}" for name in option.opposites]
    return lines


def _name(name: str) -> str:
    return f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"


def _offer(slot: Slot) -> str:
    if slot.kind is Kind.LIST:
        return f"-a {_quote('(__uvcall_list ' + ' '.join(word for word, _ in slot.words) + ')')}"
    if slot.kind is Kind.KNOWN:
        return f"-a {_quote(f'(__uvcall_known {slot.words[0][0]})')}"
    if slot.kind is Kind.WORDS:
        # fish expands the list once more: a tab stands before what is said about a word.
        words = (f"{word}\\t{_quote(about)}" if about else word for word, about in slot.words)
        return f"-a {_quote(' '.join(words))}"
    return _OFFERS[slot.kind]


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(texts: list[str]) -> str:
    return " ".join(_quote(text) for text in texts)
