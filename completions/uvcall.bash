# bash completion for uvcall: generated from the program's command tree.

# Say how a value is completed: sets `how` and `words`. $1: the command, $2: the option, or the argument's position.
# Fails where there is no such option or argument.
_uvcall_slot() {
  how=free words=
  case "$1 $2" in
    ' --profile' | 'dial --from' | 'dial --var' | 'dial --language' | 'dial --temperature' | 'dial --tool' | 'dial --metadata' | 'dial --throttle' | 'dial --prior-call' | 'dial --greeting' | 'dial --greeting-delay' | 'dial --ring-timeout' | 'dial --max-duration' | 'dial --carrier-option' | 'dial --answer-url' | 'dial --answer-port' | 'dial --answer-host' | 'dial --timeout' | 'dial --settle' | 'dial --idempotency-key' | 'dial --ok-codes' | 'dial --speed' | 'dial --seed' | 'dial 0' | 'serve-inbound --host' | 'serve-inbound --port' | 'serve-inbound --public-url' | 'serve-inbound --metrics-port' | 'serve-inbound --workers' | 'serve-inbound --number' | 'serve-inbound --allow-from' | 'serve-inbound --deny-from' | 'serve-inbound --max-concurrent' | 'serve-inbound --calls-per-caller' | 'serve-inbound --calls-per-hour' | 'serve-inbound --daily-minutes' | 'serve-inbound --forward-to' | 'serve-inbound --fallback-say' | 'serve-inbound --configure-number' | 'serve-inbound --var' | 'serve-inbound --language' | 'serve-inbound --temperature' | 'serve-inbound --tool' | 'serve-inbound --metadata' | 'serve-inbound --throttle' | 'serve-inbound --prior-call' | 'serve-inbound --greeting' | 'serve-inbound --max-duration' | 'serve-inbound --speed' | 'serve-inbound --seed' | 'render-xml --join-url' | 'render-xml --option' | 'render-xml --forward-to' | 'render-xml --say' | 'render-xml --var' | 'render-xml --language' | 'render-xml --temperature' | 'render-xml --tool' | 'render-xml --metadata' | 'render-xml --throttle' | 'render-xml --prior-call' | 'render-xml --greeting' | 'render-xml --max-duration' | 'talk --linger' | 'talk --client-tool' | 'talk --tool-timeout' | 'talk --input-rate' | 'talk --output-rate' | 'talk --client-buffer' | 'talk --media-idle-timeout' | 'talk --data-message' | 'talk --var' | 'talk --language' | 'talk --temperature' | 'talk --tool' | 'talk --metadata' | 'talk --throttle' | 'talk --prior-call' | 'talk --greeting' | 'talk --max-duration' | 'talk --ok-codes' | 'talk --seed' | 'reconcile --assume-not-placed' | 'reconcile 0' | 'calls list --to' | 'calls list --since' | 'calls list --until' | 'calls list --limit' | 'calls show 0' | 'calls watch --timeout' | 'calls watch --ok-codes' | 'calls watch 0' | 'calls say 0' | 'calls hangup 0' | 'calls transcript 0' | 'calls recording 0' | 'calls events --type' | 'calls events 0' | 'config set 1' | 'config agents --search' | 'config voices --search' | 'config voices --language' | 'config models --search' | 'sandbox serve --port' | 'sandbox serve --speed' | 'sandbox serve --seed' | 'sandbox ring --to' | 'sandbox ring --from' | 'sandbox ring --called' | 'sandbox ring --duplicate' | 'sandbox ring --fallback-url' | 'sandbox ring --status-url' | 'sandbox ring --public-url' | 'sandbox ring --key-env' | 'sandbox ring --port' | 'sandbox ring --at' | 'sandbox ring --hang-up-after' | 'sandbox ring --speed' | 'sandbox env --port') : ;;
    ' --config' | 'dial --callee-audio' | 'dial --agent-script' | 'render-xml --output' | 'render-xml -o' | 'talk --input' | 'talk --output' | 'talk --agent-script' | 'calls transcript --output' | 'calls transcript -o' | 'calls recording --output' | 'calls recording -o' | 'sandbox serve --callee-audio' | 'sandbox serve --agent-script' | 'sandbox ring --callee-audio') how=file ;;
    'dial --provider') how=list words='telnyx twilio plivo' ;;
    'dial --agent' | 'serve-inbound --agent' | 'render-xml --agent' | 'talk --agent') how=known words=agents ;;
    'dial --prompt' | 'dial --tools' | 'dial --call' | 'serve-inbound --prompt' | 'serve-inbound --tools' | 'serve-inbound --call' | 'render-xml --prompt' | 'render-xml --tools' | 'render-xml --call' | 'talk --join-url' | 'talk --prompt' | 'talk --tools' | 'talk --call' | 'calls say 1') how=at-file ;;
    'dial --voice' | 'serve-inbound --voice' | 'render-xml --voice' | 'talk --voice') how=known words=voices ;;
    'dial --model' | 'serve-inbound --model' | 'render-xml --model' | 'talk --model') how=known words=models ;;
    'dial --first-speaker' | 'serve-inbound --first-speaker' | 'render-xml --first-speaker' | 'talk --first-speaker') how=words words='user agent' ;;
    'dial --voicemail') how=words words='hangup leave ignore' ;;
    'dial --via') how=words words='sdk ultravox' ;;
    'dial --expect' | 'talk --expect' | 'calls watch --expect') how=list words='completed accepted internal_error usage policy_refused auth_error provider_refused config_error local_error busy no_answer failed voicemail rejected silent agent_failed max_duration unknown unobserved temporary interrupted' ;;
    'dial --save' | 'talk --save') how=directory ;;
    'dial --scenario' | 'talk --scenario' | 'sandbox serve --scenario') how=words words='answer busy no-answer rejected voicemail failed mute hangup-early lost-reply rate-limited no-join agent-drop' ;;
    'dial --faults' | 'serve-inbound --faults' | 'talk --faults' | 'sandbox serve --faults') how=words words='off on' ;;
    'serve-inbound --provider' | 'render-xml --provider' | 'calls list --provider' | 'config init --provider' | 'config check --provider' | 'sandbox ring --provider') how=words words='telnyx twilio plivo' ;;
    'render-xml --direction') how=words words='inbound outbound' ;;
    'talk --medium') how=words words='websocket webrtc' ;;
    'calls list --outcome') how=words words='completed accepted internal_error usage policy_refused auth_error provider_refused config_error local_error busy no_answer failed voicemail rejected silent agent_failed max_duration unknown unobserved temporary interrupted' ;;
    'calls list --state') how=words words='intent ultravox_created leg_intent not_placed placed unknown ended' ;;
    'calls say --as') how=words words='agent user' ;;
    'calls say --urgency') how=words words='immediate soon later' ;;
    'calls transcript --format') how=words words='text jsonl srt vtt' ;;
    'calls events --severity') how=words words='debug info warning error' ;;
    'config set 0' | 'config get 0' | 'config unset 0') how=words words='provider ultravox.api_key ultravox.base_url telnyx.api_key telnyx.public_key telnyx.connection_id telnyx.from telnyx.base_url telnyx.stream_track telnyx.codec telnyx.target_legs twilio.account_sid twilio.auth_token twilio.from twilio.base_url plivo.auth_id plivo.auth_token plivo.from plivo.codec plivo.answer_url plivo.answer_port plivo.base_url call.agent call.prompt call.voice call.model call.language call.max_duration call.ring_timeout call.first_speaker call.greeting call.record talk.medium server.public_url server.host server.port server.numbers server.allow_from server.deny_from server.max_concurrent server.forward_to server.fallback_say policy.countries policy.window policy.dnc' ;;
    'sandbox ring --signature') how=words words='good bad expired missing resplit' ;;
    'sandbox ring --scenario') how=words words='answer mute hangup-early' ;;
    *) return 1 ;;
  esac
}

# The options and the commands that may follow a command: sets `options` and `commands`.
_uvcall_command() {
  options= commands=
  case "$1" in
    '') options='--profile --config --version --help' commands='dial serve-inbound render-xml talk reconcile calls config sandbox' ;;
    dial) options='--provider --from --agent --prompt --var --voice --model --language --temperature --tool --tools --metadata --record --no-record --call --throttle --prior-call --first-speaker --greeting --greeting-delay --ring-timeout --max-duration --voicemail --carrier-option --via --answer-url --answer-port --answer-host --detach --wait --timeout --settle --idempotency-key --expect --ok-codes --dry-run --save --sandbox --scenario --speed --faults --seed --callee-audio --agent-script --json --quiet --verbose --help' commands='' ;;
    serve-inbound) options='--provider --host --port --public-url --metrics-port --workers --number --allow-from --deny-from --allow-unknown --max-concurrent --calls-per-caller --calls-per-hour --daily-minutes --forward-to --fallback-say --insecure-skip-signature --configure-number --restore --agent --prompt --var --voice --model --language --temperature --tool --tools --metadata --record --no-record --call --throttle --prior-call --first-speaker --greeting --max-duration --sandbox --speed --faults --seed --ring --json --quiet --verbose --help' commands='' ;;
    render-xml) options='--provider --join-url --create --direction --option --fallback --forward-to --say --output --agent --prompt --var --voice --model --language --temperature --tool --tools --metadata --record --no-record --call --throttle --prior-call --first-speaker --greeting --max-duration --sandbox --json --quiet --verbose --help' commands='' ;;
    talk) options='--join-url --medium --web --open --input --output --text --mute --push-to-talk --half-duplex --linger --client-tool --tool-timeout --input-rate --output-rate --client-buffer --media-idle-timeout --data-message --agent --prompt --var --voice --model --language --temperature --tool --tools --metadata --record --no-record --call --throttle --prior-call --first-speaker --greeting --max-duration --expect --ok-codes --dry-run --save --devices --sandbox --scenario --faults --seed --agent-script --json --quiet --verbose --help' commands='' ;;
    reconcile) options='--assume-not-placed --hang-up --sandbox --json --quiet --verbose --help' commands='' ;;
    calls) options=--help commands='list show watch say hangup transcript recording events' ;;
    'calls list') options='--provider --to --outcome --state --since --until --limit --json --quiet --verbose --help' commands='' ;;
    'calls show') options='--refresh --sandbox --json --quiet --verbose --help' commands='' ;;
    'calls watch') options='--timeout --expect --ok-codes --sandbox --json --quiet --verbose --help' commands='' ;;
    'calls say') options='--as --urgency --uninterruptible --sandbox --json --quiet --verbose --help' commands='' ;;
    'calls hangup') options='--sandbox --json --quiet --verbose --help' commands='' ;;
    'calls transcript') options='--format --output --force --tools --json --sandbox --quiet --verbose --help' commands='' ;;
    'calls recording') options='--output --force --sandbox --json --quiet --verbose --help' commands='' ;;
    'calls events') options='--severity --type --sandbox --json --quiet --verbose --help' commands='' ;;
    config) options=--help commands='init set get unset list path check agents voices models' ;;
    'config init') options='--provider --check --no-check --no-keyring --json --quiet --verbose --help' commands='' ;;
    'config set') options='--no-keyring --json --quiet --verbose --help' commands='' ;;
    'config get') options='--json --quiet --verbose --help' commands='' ;;
    'config unset') options='--json --quiet --verbose --help' commands='' ;;
    'config list') options='--json --quiet --verbose --help' commands='' ;;
    'config path') options='--json --quiet --verbose --help' commands='' ;;
    'config check') options='--provider --sandbox --json --quiet --verbose --help' commands='' ;;
    'config agents') options='--search --sandbox --json --quiet --verbose --help' commands='' ;;
    'config voices') options='--search --language --sandbox --json --quiet --verbose --help' commands='' ;;
    'config models') options='--search --sandbox --json --quiet --verbose --help' commands='' ;;
    sandbox) options=--help commands='serve ring env fidelity' ;;
    'sandbox serve') options='--port --scenario --speed --faults --seed --callee-audio --agent-script --json --quiet --verbose --help' commands='' ;;
    'sandbox ring') options='--provider --to --from --called --signature --duplicate --fallback-url --status-url --public-url --key-env --call-control --port --at --hang-up-after --scenario --callee-audio --speed --json --quiet --verbose --help' commands='' ;;
    'sandbox env') options='--port --json --quiet --verbose --help' commands='' ;;
    'sandbox fidelity') options='--json --quiet --verbose --help' commands='' ;;
  esac
}

# Offer what `compgen "$@"` finds for the current word, with what stands before it on the same word.
_uvcall_offer() {
  local found
  while IFS= read -r found; do
    COMPREPLY[${#COMPREPLY[@]}]=$before$found
  done < <(compgen "$@" -- "$cur")
}

# Offer the names of agents, voices or models that `uvcall config $1` has listed in the last 7 days. What stands in
# that file are a vendor's words: they are compared and quoted here, and nothing ever expands them.
_uvcall_known() {
  local dir=${UVCALL_STATE_DIR:-} file name about
  if [[ -z $dir ]]; then
    case $OSTYPE in
      darwin*) dir="$HOME/Library/Application Support/uvcall" ;;
      *) dir=${XDG_STATE_HOME:-$HOME/.local/state}/uvcall ;;
    esac
  fi
  file=$dir/names/$1
  [[ -r $file && -n $(find "$file" -mtime -7 2>/dev/null) ]] || return 0
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
