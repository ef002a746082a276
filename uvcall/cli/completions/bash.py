"""The completion script for bash, from version 3.2 on, with or without the bash-completion package."""

from __future__ import annotations

import shlex
from typing import Final

from uvcall.cli.completions.tree import Command, Kind, Slot
from uvcall.cli.known_names import FOLDER, KEPT_DAYS

_HEAD: Final = r"""# bash completion for uvcall: generated from the program's command tree.

# Say how a value is completed: sets `how` and `words`. $1: the command, $2: the option, or the argument's position.
# Fails where there is no such option or argument.
_uvcall_slot() {
  how=free words=
  case "$1 $2" in
@slots@
    *) return 1 ;;
  esac
}

# The options and the commands that may follow a command: sets `options` and `commands`.
_uvcall_command() {
  options= commands=
  case "$1" in
@commands@
  esac
}

# Offer what `compgen "$@"` finds for the current word, with what stands before it on the same word.
_uvcall_offer() {
  local found
  while IFS= read -r found; do
    COMPREPLY[${#COMPREPLY[@]}]=$before$found
  done < <(compgen "$@" -- "$cur")
}

# Offer the names of agents, voices or models that `uvcall config $1` has listed in the last @days@ days. What stands in
# that file are a vendor's words: they are compared and quoted here, and nothing ever expands them.
_uvcall_known() {
  local dir=${UVCALL_STATE_DIR:-} file name about
  if [[ -z $dir ]]; then
    case $OSTYPE in
      darwin*) dir="$HOME/Library/Application Support/uvcall" ;;
      *) dir=${XDG_STATE_HOME:-$HOME/.local/state}/uvcall ;;
    esac
  fi
  file=$dir/@folder@/$1
  [[ -r $file && -n $(find "$file" -mtime -@days@ 2>/dev/null) ]] || return 0
  while IFS=$'\t' read -r name about; do
    # An agent is named by its id, and found by its name as well.
    if [[ $name == "${cur//\\/}"* || ($1 == agents && $about == "${cur//\\/}"*) ]]; then
      printf -v name %q "$name"
      COMPREPLY[${#COMPREPLY[@]}]=$before$name
    fi
  done <"$file"
}

_uvcall() {
  local cur=${COMP_WORDS[COMP_CWORD]} at=$((COMP_CWORD - 1)) before= mark= prev= command= position=0
  local how= words= options= commands= word i
  COMPREPLY=()

  # Readline cuts words at `=` and `@`. What follows a `=` is replaced by the answer; an `@` is replaced with it. Where
  # readline is told not to cut, the whole word arrives, and all of it is replaced.
  case $cur in
    =) mark=$cur cur= ;;
    @ | =@) mark=$cur before=@ cur= ;;
    --*=@*) mark='=@' prev=${cur%%=*} before=$prev=@ cur=${cur#*=@} ;;
    --*=*) mark='=' prev=${cur%%=*} before=$prev= cur=${cur#*=} ;;
    @*) mark=@ before=@ cur=${cur#@} ;;
    *)
      case ${COMP_WORDS[at]} in
        = | @ | =@)
          mark=${COMP_WORDS[at]}
          before=${mark#=}
          at=$((at - 1))
          ;;
      esac
      ;;
  esac
  [[ -n $prev ]] || prev=${COMP_WORDS[at]}

  # Which command is it? Options and their values are stepped over.
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      -*=*) ;;
      -*)
        if _uvcall_slot "$command" "$word"; then
          i=$((i + 1))
        fi
        ;;
      *)
        _uvcall_command "$command"
        case " $commands " in
          *" $word "*) command=${command:+$command }$word ;;
          *) position=$((position + 1)) ;;
        esac
        ;;
    esac
    # The rest of a word that readline has cut.
    while ((i < COMP_CWORD)); do
      case ${COMP_WORDS[i]} in
        = | @ | =@ | :) i=$((i + 1)) ;;
        *)
          case ${COMP_WORDS[i + 1]} in
            = | =@ | :) i=$((i + 1)) ;;
            *) break ;;
          esac
          ;;
      esac
    done
  done

  if [[ $prev == -* ]] && _uvcall_slot "$command" "$prev"; then
    :
  elif [[ $cur == -* ]]; then
    _uvcall_command "$command"
    _uvcall_offer -W "$options"
    return 0
  else
    _uvcall_command "$command"
    if [[ -n $commands ]]; then
      _uvcall_offer -W "$commands"
      return 0
    fi
    _uvcall_slot "$command" "$position" || return 0
  fi

  case $how in
    words) _uvcall_offer -W "$words" ;;
    known) _uvcall_known "$words" ;;
    list)
      if [[ $cur == *,* ]]; then
        before=$before${cur%,*},
        cur=${cur##*,}
      fi
      _uvcall_offer -W "$words"
      ;;
    file)
      compopt -o filenames 2>/dev/null
      _uvcall_offer -f
      ;;
    directory)
      compopt -o filenames 2>/dev/null
      _uvcall_offer -d
      ;;
    at-file)
      case $mark in
        *@)
          # Told that these are file names, readline would look for a file of that name with its `@`, and quote the `@`.
          while IFS= read -r word; do
            printf -v words %q "$word"
            if [[ -d $word ]]; then
              words=$words/
              compopt -o nospace 2>/dev/null
            fi
            COMPREPLY[${#COMPREPLY[@]}]=$before$words
          done < <(compgen -f -- "$cur")
          ;;
        *)
          [[ -n $cur ]] || COMPREPLY=("$before@")
          compopt -o nospace 2>/dev/null
          ;;
      esac
      ;;
  esac
}

complete -F _uvcall uvcall
"""


def script(tree: Command) -> str:
    """Return the script."""
    slots: dict[str, list[str]] = {}
    commands: list[str] = []
    for command in tree.walk():
        path = " ".join(command.path)
        for option in command.options:
            if option.slot is not None:
                for name in option.names:
                    slots.setdefault(_setting(option.slot), []).append(f"{path} {name}")
        for position, slot in enumerate(command.arguments):
            slots.setdefault(_setting(slot), []).append(f"{path} {position}")
        names = [name for option in command.options for name in (*option.names, *option.opposites)]
        long = " ".join(name for name in names if name.startswith("--"))
        below = " ".join(sub.path[-1] for sub in command.commands)
        commands.append(f"    {shlex.quote(path)}) options={shlex.quote(long)} commands={shlex.quote(below)} ;;")
    lines = [f"    {_patterns(places)}) {setting} ;;" for setting, places in slots.items()]
    head = _HEAD.replace("@folder@", FOLDER).replace("@days@", str(KEPT_DAYS))
    return head.replace("@slots@", "\n".join(lines)).replace("@commands@", "\n".join(commands))


def _setting(slot: Slot) -> str:
    if slot.kind is Kind.FREE:
        return ":"
    words = f" words={shlex.quote(' '.join(word for word, _ in slot.words))}" if slot.words else ""
    return f"how={slot.kind.value}{words}"


def _patterns(places: list[str]) -> str:
    return " | ".join(shlex.quote(place) for place in places)
