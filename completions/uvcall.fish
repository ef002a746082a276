# fish completion for uvcall: generated from the program's command tree.

set -g __uvcall_commands 'dial' 'serve-inbound' 'render-xml' 'talk' 'reconcile' 'calls' 'calls list' 'calls show' 'calls watch' 'calls say' 'calls hangup' 'calls transcript' 'calls recording' 'calls events' 'config' 'config init' 'config set' 'config get' 'config unset' 'config list' 'config path' 'config check' 'config agents' 'config voices' 'config models' 'sandbox' 'sandbox serve' 'sandbox ring' 'sandbox env' 'sandbox fidelity'
set -g __uvcall_takes ' --profile' ' --config' 'dial --provider' 'dial --from' 'dial --agent' 'dial --prompt' 'dial --var' 'dial --voice' 'dial --model' 'dial --language' 'dial --temperature' 'dial --tool' 'dial --tools' 'dial --metadata' 'dial --call' 'dial --throttle' 'dial --prior-call' 'dial --first-speaker' 'dial --greeting' 'dial --greeting-delay' 'dial --ring-timeout' 'dial --max-duration' 'dial --voicemail' 'dial --carrier-option' 'dial --via' 'dial --answer-url' 'dial --answer-port' 'dial --answer-host' 'dial --timeout' 'dial --settle' 'dial --idempotency-key' 'dial --expect' 'dial --ok-codes' 'dial --save' 'dial --scenario' 'dial --speed' 'dial --faults' 'dial --seed' 'dial --callee-audio' 'dial --agent-script' 'serve-inbound --provider' 'serve-inbound --host' 'serve-inbound --port' 'serve-inbound --public-url' 'serve-inbound --metrics-port' 'serve-inbound --workers' 'serve-inbound --number' 'serve-inbound --allow-from' 'serve-inbound --deny-from' 'serve-inbound --max-concurrent' 'serve-inbound --calls-per-caller' 'serve-inbound --calls-per-hour' 'serve-inbound --daily-minutes' 'serve-inbound --forward-to' 'serve-inbound --fallback-say' 'serve-inbound --configure-number' 'serve-inbound --agent' 'serve-inbound --prompt' 'serve-inbound --var' 'serve-inbound --voice' 'serve-inbound --model' 'serve-inbound --language' 'serve-inbound --temperature' 'serve-inbound --tool' 'serve-inbound --tools' 'serve-inbound --metadata' 'serve-inbound --call' 'serve-inbound --throttle' 'serve-inbound --prior-call' 'serve-inbound --first-speaker' 'serve-inbound --greeting' 'serve-inbound --max-duration' 'serve-inbound --speed' 'serve-inbound --faults' 'serve-inbound --seed' 'render-xml --provider' 'render-xml --join-url' 'render-xml --direction' 'render-xml --option' 'render-xml --forward-to' 'render-xml --say' 'render-xml --output' 'render-xml -o' 'render-xml --agent' 'render-xml --prompt' 'render-xml --var' 'render-xml --voice' 'render-xml --model' 'render-xml --language' 'render-xml --temperature' 'render-xml --tool' 'render-xml --tools' 'render-xml --metadata' 'render-xml --call' 'render-xml --throttle' 'render-xml --prior-call' 'render-xml --first-speaker' 'render-xml --greeting' 'render-xml --max-duration' 'talk --join-url' 'talk --medium' 'talk --input' 'talk --output' 'talk --linger' 'talk --client-tool' 'talk --tool-timeout' 'talk --input-rate' 'talk --output-rate' 'talk --client-buffer' 'talk --media-idle-timeout' 'talk --data-message' 'talk --agent' 'talk --prompt' 'talk --var' 'talk --voice' 'talk --model' 'talk --language' 'talk --temperature' 'talk --tool' 'talk --tools' 'talk --metadata' 'talk --call' 'talk --throttle' 'talk --prior-call' 'talk --first-speaker' 'talk --greeting' 'talk --max-duration' 'talk --expect' 'talk --ok-codes' 'talk --save' 'talk --scenario' 'talk --faults' 'talk --seed' 'talk --agent-script' 'reconcile --assume-not-placed' 'calls list --provider' 'calls list --to' 'calls list --outcome' 'calls list --state' 'calls list --since' 'calls list --until' 'calls list --limit' 'calls watch --timeout' 'calls watch --expect' 'calls watch --ok-codes' 'calls say --as' 'calls say --urgency' 'calls transcript --format' 'calls transcript --output' 'calls transcript -o' 'calls recording --output' 'calls recording -o' 'calls events --severity' 'calls events --type' 'config init --provider' 'config check --provider' 'config agents --search' 'config voices --search' 'config voices --language' 'config models --search' 'sandbox serve --port' 'sandbox serve --scenario' 'sandbox serve --speed' 'sandbox serve --faults' 'sandbox serve --seed' 'sandbox serve --callee-audio' 'sandbox serve --agent-script' 'sandbox ring --provider' 'sandbox ring --to' 'sandbox ring --from' 'sandbox ring --called' 'sandbox ring --signature' 'sandbox ring --duplicate' 'sandbox ring --fallback-url' 'sandbox ring --status-url' 'sandbox ring --public-url' 'sandbox ring --key-env' 'sandbox ring --port' 'sandbox ring --at' 'sandbox ring --hang-up-after' 'sandbox ring --scenario' 'sandbox ring --callee-audio' 'sandbox ring --speed' 'sandbox env --port'

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
    printf '%s\n' "$done"$argv
end

# `@` and a file name.
function __uvcall_at_file
    set -l token (__uvcall_value)
    if string match -q -- '@*' "$token"
        printf '@%s\n' (__fish_complete_path (string sub -s 2 -- "$token"))
    else
        echo @
    end
end

# The names of agents, voices or models that `uvcall config $argv[1]` has listed in the last 7 days.
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
    set -l file $dir/names/$argv[1]
    if test -r "$file"
        set -l fresh (find $file -mtime -7 2>/dev/null)
        test -n "$fresh"
        and cat $file
    end
end

complete -c uvcall -f

complete -c uvcall -n '__uvcall_at \'\' 0' -a dial -d 'Place one phone call and follow it to its end'
complete -c uvcall -n '__uvcall_at \'\' 0' -a serve-inbound -d 'Answer callers: verify, decide, connect'
complete -c uvcall -n '__uvcall_at \'\' 0' -a render-xml -d 'Print the carrier\'s XML for a join URL'
complete -c uvcall -n '__uvcall_at \'\' 0' -a talk -d 'Talk to an agent from here: microphone, WAV or keyboard'
complete -c uvcall -n '__uvcall_at \'\' 0' -a reconcile -d 'Settle attempts whose fate is unknown; never dials'
complete -c uvcall -n '__uvcall_at \'\' 0' -a calls -d 'Calls that were attempted: list, watch, steer and keep them'
complete -c uvcall -n '__uvcall_at \'\' 0' -a config -d 'Keep settings: keys, numbers, habits; profiles'
complete -c uvcall -n '__uvcall_at \'\' 0' -a sandbox -d 'Simulate the vendors on this machine'
complete -c uvcall -n '__uvcall_at \'\'' -l profile -r -f -d 'Settings profile (UVCALL_PROFILE)'
complete -c uvcall -n '__uvcall_at \'\'' -l config -r -F -d 'Configuration file (UVCALL_CONFIG)'
complete -c uvcall -n '__uvcall_at \'\'' -l version -s V -d 'Show the version'
complete -c uvcall -n '__uvcall_at \'\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'dial\'' -l provider -r -f -a '(__uvcall_list telnyx twilio plivo)' -d 'Carrier (default: the only one configured); the next of several only if nothing was placed'
complete -c uvcall -n '__uvcall_at \'dial\'' -l from -r -f -d 'Number that the callee sees, E.164'
complete -c uvcall -n '__uvcall_at \'dial\'' -l agent -r -f -a '(__uvcall_known agents)' -d 'Ultravox agent that speaks'
complete -c uvcall -n '__uvcall_at \'dial\'' -l prompt -r -f -a '(__uvcall_at_file)' -d 'System prompt, when no agent is named'
complete -c uvcall -n '__uvcall_at \'dial\'' -l var -r -f -d 'Fill {{K}} in the prompt, or an agent\'s template'
complete -c uvcall -n '__uvcall_at \'dial\'' -l voice -r -f -a '(__uvcall_known voices)' -d 'Voice, by id or name'
complete -c uvcall -n '__uvcall_at \'dial\'' -l model -r -f -a '(__uvcall_known models)' -d 'Ultravox model'
complete -c uvcall -n '__uvcall_at \'dial\'' -l language -r -f -d 'Language hint: en, de-CH (BCP 47)'
complete -c uvcall -n '__uvcall_at \'dial\'' -l temperature -r -f -d 'How freely the model speaks, 0 to 1'
complete -c uvcall -n '__uvcall_at \'dial\'' -l tool -r -f -d 'A tool, by name'
complete -c uvcall -n '__uvcall_at \'dial\'' -l tools -r -f -a '(__uvcall_at_file)' -d 'Tool definitions, a JSON array'
complete -c uvcall -n '__uvcall_at \'dial\'' -l metadata -r -f -d 'Note on the Ultravox call'
complete -c uvcall -n '__uvcall_at \'dial\'' -l record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'dial\'' -l no-record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'dial\'' -l call -r -f -a '(__uvcall_at_file)' -d 'A Create Call body to start from; options win'
complete -c uvcall -n '__uvcall_at \'dial\'' -l throttle -r -f -d 'Ultravox call throttle to obey'
complete -c uvcall -n '__uvcall_at \'dial\'' -l prior-call -r -f -d 'Continue an earlier Ultravox call'
complete -c uvcall -n '__uvcall_at \'dial\'' -l first-speaker -r -f -a 'user agent' -d 'Who speaks first (outbound: user)'
complete -c uvcall -n '__uvcall_at \'dial\'' -l greeting -r -f -d 'What the agent says first, or to a silent callee'
complete -c uvcall -n '__uvcall_at \'dial\'' -l greeting-delay -r -f -d 'Wait so long for a silent callee before greeting (4s)'
complete -c uvcall -n '__uvcall_at \'dial\'' -l ring-timeout -r -f -d 'How long it may ring (35s)'
complete -c uvcall -n '__uvcall_at \'dial\'' -l max-duration -r -f -d 'Longest call (10m)'
complete -c uvcall -n '__uvcall_at \'dial\'' -l voicemail -r -f -a 'hangup leave ignore' -d 'What to do when a machine answers; ignore does not look for one'
complete -c uvcall -n '__uvcall_at \'dial\'' -l carrier-option -r -f -d 'Extra argument for the carrier SDK\'s call, as it is'
complete -c uvcall -n '__uvcall_at \'dial\'' -l via -r -f -a 'sdk ultravox' -d 'Who places the phone call: the carrier\'s SDK here, or Ultravox'
complete -c uvcall -n '__uvcall_at \'dial\'' -l answer-url -r -f -d 'Plivo: public https URL that leads to --answer-port'
complete -c uvcall -n '__uvcall_at \'dial\'' -l answer-port -r -f -d 'Plivo: port to answer on (8089)'
complete -c uvcall -n '__uvcall_at \'dial\'' -l answer-host -r -f -d 'Plivo: address to answer on'
complete -c uvcall -n '__uvcall_at \'dial\'' -l detach -d 'Return once the carrier has the call, or stay to its end'
complete -c uvcall -n '__uvcall_at \'dial\'' -l wait -d 'Return once the carrier has the call, or stay to its end'
complete -c uvcall -n '__uvcall_at \'dial\'' -l timeout -r -f -d 'Stop waiting after this time; the call goes on'
complete -c uvcall -n '__uvcall_at \'dial\'' -l settle -r -f -d 'After a lost reply, look for the call so long'
complete -c uvcall -n '__uvcall_at \'dial\'' -l idempotency-key -r -f -d 'One call for one key: a second run reports the first'
complete -c uvcall -n '__uvcall_at \'dial\'' -l expect -r -f -a '(__uvcall_list completed accepted internal_error usage policy_refused auth_error provider_refused config_error local_error busy no_answer failed voicemail rejected silent agent_failed max_duration unknown unobserved temporary interrupted)' -d 'Exit 0 for these outcomes only: completed,busy'
complete -c uvcall -n '__uvcall_at \'dial\'' -l ok-codes -r -f -d 'Exit 0 for these exit codes, too: 10,11'
complete -c uvcall -n '__uvcall_at \'dial\'' -l dry-run -d 'Print what would be sent; contact nobody'
complete -c uvcall -n '__uvcall_at \'dial\'' -l save -r -f -a '(__fish_complete_directories (__uvcall_value))' -d 'Keep transcript and recording in this directory'
complete -c uvcall -n '__uvcall_at \'dial\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'dial\'' -l scenario -r -f -a 'answer\\t\'answers and talks\' busy\\t\'is on the phone already\' no-answer\\t\'lets it ring\' rejected\\t\'presses the red button\' voicemail\\t\'is away: an answering machine speaks\' failed\\t\'has a number out of service\' mute\\t\'answers and never speaks\' hangup-early\\t\'answers and hangs up at once\' lost-reply\\t\'answers, but the carrier\\\'s reply never arrives\' rate-limited\\t\'answers once the carrier has said 429\' no-join\\t\'answers, and the agent never joins\' agent-drop\\t\'answers, and the agent\\\'s side breaks\'' -d 'With --sandbox: what the callee does'
complete -c uvcall -n '__uvcall_at \'dial\'' -l speed -r -f -d 'With --sandbox: so many times faster than life'
complete -c uvcall -n '__uvcall_at \'dial\'' -l faults -r -f -a 'off\\t\'none\' on\\t\'a few of each\'' -d 'With --sandbox: faults to inject'
complete -c uvcall -n '__uvcall_at \'dial\'' -l seed -r -f -d 'With --sandbox: the same seed, the same faults'
complete -c uvcall -n '__uvcall_at \'dial\'' -l callee-audio -r -F -d 'With --sandbox: what the callee says'
complete -c uvcall -n '__uvcall_at \'dial\'' -l agent-script -r -F -d 'With --sandbox: the agent\'s lines, one a line'
complete -c uvcall -n '__uvcall_at \'dial\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'dial\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'dial\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'dial\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l provider -r -f -a 'telnyx twilio plivo' -d 'Carrier, repeatable; every configured one'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l host -r -f -d 'Address to listen on (127.0.0.1)'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l port -r -f -d 'Port to listen on (8080); 0 for any'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l public-url -r -f -d 'The base URL that carriers call; what they sign'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l metrics-port -r -f -d 'Loopback port of /metrics (any free one)'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l workers -r -f -d 'Processes behind the port'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l number -r -f -d 'Number to serve, repeatable; every one'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l allow-from -r -f -d 'Caller to answer, repeatable; all others not'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l deny-from -r -f -d 'Caller to turn away, repeatable'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l allow-unknown -d 'Answer callers who withhold their number'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l max-concurrent -r -f -d 'Calls at the same time (2)'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l calls-per-caller -r -f -d 'Calls of one caller in ten minutes; 0: any'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l calls-per-hour -r -f -d 'Calls of all callers in an hour; 0: any'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l daily-minutes -r -f -d 'Minutes of conversation a day, UTC'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l forward-to -r -f -d 'Who is rung when no agent can be had'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l fallback-say -r -f -d 'What callers hear when no agent can be had'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l insecure-skip-signature -d 'Believe anybody; on loopback only'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l configure-number -r -f -d 'Lead this number of the account here, repeatable; put back at the end'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l restore -d 'Put back the numbers that a run which broke off has left here'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l agent -r -f -a '(__uvcall_known agents)' -d 'Ultravox agent that speaks'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l prompt -r -f -a '(__uvcall_at_file)' -d 'System prompt, when no agent is named'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l var -r -f -d 'Fill {{K}} in the prompt, or an agent\'s template'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l voice -r -f -a '(__uvcall_known voices)' -d 'Voice, by id or name'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l model -r -f -a '(__uvcall_known models)' -d 'Ultravox model'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l language -r -f -d 'Language hint: en, de-CH (BCP 47)'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l temperature -r -f -d 'How freely the model speaks, 0 to 1'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l tool -r -f -d 'A tool, by name'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l tools -r -f -a '(__uvcall_at_file)' -d 'Tool definitions, a JSON array'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l metadata -r -f -d 'Note on the Ultravox call'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l no-record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l call -r -f -a '(__uvcall_at_file)' -d 'A Create Call body to start from; options win'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l throttle -r -f -d 'Ultravox call throttle to obey'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l prior-call -r -f -d 'Continue an earlier Ultravox call'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l first-speaker -r -f -a 'user agent' -d 'Who speaks first (outbound: user)'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l greeting -r -f -d 'What the agent says first, or to a silent callee'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l max-duration -r -f -d 'Longest call (10m)'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l speed -r -f -d 'With --sandbox: so many times faster than life'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l faults -r -f -a 'off\\t\'none\' on\\t\'a few of each\'' -d 'With --sandbox: faults to inject'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l seed -r -f -d 'With --sandbox: the same seed, the same faults'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l ring -d 'With --sandbox: somebody rings; the end of the call is the end of it'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'serve-inbound\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'render-xml\'' -l provider -r -f -a 'telnyx twilio plivo' -d 'Carrier (default: the only one configured)'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l join-url -r -f -d 'Join URL of an Ultravox call; - reads stdin'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l create -d 'Create the Ultravox call, too'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l direction -r -f -a 'inbound outbound' -d 'Who called whom'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l option -r -f -d 'Attribute of the stream'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l fallback -d 'The document for when no agent can be had'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l forward-to -r -f -d 'With --fallback: who is rung instead'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l say -r -f -d 'With --fallback: what is said'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l output -s o -r -F -d 'A file of your own (0600); - is stdout'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l agent -r -f -a '(__uvcall_known agents)' -d 'Ultravox agent that speaks'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l prompt -r -f -a '(__uvcall_at_file)' -d 'System prompt, when no agent is named'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l var -r -f -d 'Fill {{K}} in the prompt, or an agent\'s template'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l voice -r -f -a '(__uvcall_known voices)' -d 'Voice, by id or name'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l model -r -f -a '(__uvcall_known models)' -d 'Ultravox model'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l language -r -f -d 'Language hint: en, de-CH (BCP 47)'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l temperature -r -f -d 'How freely the model speaks, 0 to 1'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l tool -r -f -d 'A tool, by name'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l tools -r -f -a '(__uvcall_at_file)' -d 'Tool definitions, a JSON array'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l metadata -r -f -d 'Note on the Ultravox call'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l no-record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l call -r -f -a '(__uvcall_at_file)' -d 'A Create Call body to start from; options win'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l throttle -r -f -d 'Ultravox call throttle to obey'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l prior-call -r -f -d 'Continue an earlier Ultravox call'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l first-speaker -r -f -a 'user agent' -d 'Who speaks first (outbound: user)'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l greeting -r -f -d 'What the agent says first, or to a silent callee'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l max-duration -r -f -d 'Longest call (10m)'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'render-xml\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'talk\'' -l join-url -r -f -a '(__uvcall_at_file)' -d 'Join a call that exists; the URL is a secret'
complete -c uvcall -n '__uvcall_at \'talk\'' -l medium -r -f -a 'websocket webrtc' -d 'How the agent is reached (websocket)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l web -d 'Hand the call to a browser on this machine: prints a link to its page'
complete -c uvcall -n '__uvcall_at \'talk\'' -l open -d 'With --web: open the page in the browser, too'
complete -c uvcall -n '__uvcall_at \'talk\'' -l input -r -F -d 'Who speaks (mic); - reads raw PCM, 16 bits, mono'
complete -c uvcall -n '__uvcall_at \'talk\'' -l output -r -F -d 'Where the agent is heard (speaker, if the microphone listens); - writes raw PCM'
complete -c uvcall -n '__uvcall_at \'talk\'' -l text -d 'Type instead of speaking, a line at a time; the agent writes, too'
complete -c uvcall -n '__uvcall_at \'talk\'' -l mute -d 'Begin with the microphone shut; the key m opens it'
complete -c uvcall -n '__uvcall_at \'talk\'' -l push-to-talk -d 'The microphone is open while the space bar is held'
complete -c uvcall -n '__uvcall_at \'talk\'' -l half-duplex -d 'Shut the microphone while the agent is heard: no headphones needed'
complete -c uvcall -n '__uvcall_at \'talk\'' -l linger -r -f -d 'After the input\'s end, hang up when the agent is silent for so long (15s)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l client-tool -r -f -d 'A tool run here: JSON parameters on stdin, result from stdout; no shell'
complete -c uvcall -n '__uvcall_at \'talk\'' -l tool-timeout -r -f -d 'Longest run of a client tool'
complete -c uvcall -n '__uvcall_at \'talk\'' -l input-rate -r -f -d 'Sample rate of what is sent (16000; webrtc: 48000)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l output-rate -r -f -d 'Sample rate of the agent\'s voice (as sent)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l client-buffer -r -f -d 'How far ahead the agent\'s voice may come (30s)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l media-idle-timeout -r -f -d 'Ultravox ends the call when no audio comes for so long'
complete -c uvcall -n '__uvcall_at \'talk\'' -l data-message -r -f -d 'Ask for a data message, or for none'
complete -c uvcall -n '__uvcall_at \'talk\'' -l agent -r -f -a '(__uvcall_known agents)' -d 'Ultravox agent that speaks'
complete -c uvcall -n '__uvcall_at \'talk\'' -l prompt -r -f -a '(__uvcall_at_file)' -d 'System prompt, when no agent is named'
complete -c uvcall -n '__uvcall_at \'talk\'' -l var -r -f -d 'Fill {{K}} in the prompt, or an agent\'s template'
complete -c uvcall -n '__uvcall_at \'talk\'' -l voice -r -f -a '(__uvcall_known voices)' -d 'Voice, by id or name'
complete -c uvcall -n '__uvcall_at \'talk\'' -l model -r -f -a '(__uvcall_known models)' -d 'Ultravox model'
complete -c uvcall -n '__uvcall_at \'talk\'' -l language -r -f -d 'Language hint: en, de-CH (BCP 47)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l temperature -r -f -d 'How freely the model speaks, 0 to 1'
complete -c uvcall -n '__uvcall_at \'talk\'' -l tool -r -f -d 'A tool, by name'
complete -c uvcall -n '__uvcall_at \'talk\'' -l tools -r -f -a '(__uvcall_at_file)' -d 'Tool definitions, a JSON array'
complete -c uvcall -n '__uvcall_at \'talk\'' -l metadata -r -f -d 'Note on the Ultravox call'
complete -c uvcall -n '__uvcall_at \'talk\'' -l record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'talk\'' -l no-record -d 'Have Ultravox record the call'
complete -c uvcall -n '__uvcall_at \'talk\'' -l call -r -f -a '(__uvcall_at_file)' -d 'A Create Call body to start from; options win'
complete -c uvcall -n '__uvcall_at \'talk\'' -l throttle -r -f -d 'Ultravox call throttle to obey'
complete -c uvcall -n '__uvcall_at \'talk\'' -l prior-call -r -f -d 'Continue an earlier Ultravox call'
complete -c uvcall -n '__uvcall_at \'talk\'' -l first-speaker -r -f -a 'user agent' -d 'Who speaks first (agent)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l greeting -r -f -d 'What the agent says first, or to a silent callee'
complete -c uvcall -n '__uvcall_at \'talk\'' -l max-duration -r -f -d 'Longest call (10m)'
complete -c uvcall -n '__uvcall_at \'talk\'' -l expect -r -f -a '(__uvcall_list completed accepted internal_error usage policy_refused auth_error provider_refused config_error local_error busy no_answer failed voicemail rejected silent agent_failed max_duration unknown unobserved temporary interrupted)' -d 'Exit 0 for these outcomes only: completed,busy'
complete -c uvcall -n '__uvcall_at \'talk\'' -l ok-codes -r -f -d 'Exit 0 for these exit codes, too: 10,11'
complete -c uvcall -n '__uvcall_at \'talk\'' -l dry-run -d 'Print what would be sent; contact nobody'
complete -c uvcall -n '__uvcall_at \'talk\'' -l save -r -f -a '(__fish_complete_directories (__uvcall_value))' -d 'Keep transcript and recording in this directory'
complete -c uvcall -n '__uvcall_at \'talk\'' -l devices -d 'List microphones and speakers, and do no more'
complete -c uvcall -n '__uvcall_at \'talk\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'talk\'' -l scenario -r -f -a 'answer\\t\'answers and talks\' busy\\t\'is on the phone already\' no-answer\\t\'lets it ring\' rejected\\t\'presses the red button\' voicemail\\t\'is away: an answering machine speaks\' failed\\t\'has a number out of service\' mute\\t\'answers and never speaks\' hangup-early\\t\'answers and hangs up at once\' lost-reply\\t\'answers, but the carrier\\\'s reply never arrives\' rate-limited\\t\'answers once the carrier has said 429\' no-join\\t\'answers, and the agent never joins\' agent-drop\\t\'answers, and the agent\\\'s side breaks\'' -d 'With --sandbox: no-join or agent-drop'
complete -c uvcall -n '__uvcall_at \'talk\'' -l faults -r -f -a 'off\\t\'none\' on\\t\'a few of each\'' -d 'With --sandbox: faults to inject'
complete -c uvcall -n '__uvcall_at \'talk\'' -l seed -r -f -d 'With --sandbox: the same seed, the same faults'
complete -c uvcall -n '__uvcall_at \'talk\'' -l agent-script -r -F -d 'With --sandbox: the agent\'s lines, one a line'
complete -c uvcall -n '__uvcall_at \'talk\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'talk\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'talk\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'talk\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'reconcile\'' -l assume-not-placed -r -f -d 'End it as not placed, on your word, if no vendor shows it'
complete -c uvcall -n '__uvcall_at \'reconcile\'' -l hang-up -d 'Hang up calls that are up, also before their limits are over'
complete -c uvcall -n '__uvcall_at \'reconcile\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'reconcile\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'reconcile\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'reconcile\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'reconcile\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls\' 0' -a list -d 'List attempts, newest first; with --json the audit trail, one array of records'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a show -d 'Show an attempt: its record, and every step as it was written down'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a watch -d 'Watch a call live until it is over; the exit code is its outcome\'s'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a say -d 'Have the agent of a live call say something, or hear it'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a hangup -d 'End a call, both its sides'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a transcript -d 'Print or save what was said'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a recording -d 'Save a call\'s recording'
complete -c uvcall -n '__uvcall_at \'calls\' 0' -a events -d 'List what Ultravox noted of a call'
complete -c uvcall -n '__uvcall_at \'calls\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls list\'' -l provider -r -f -a 'telnyx twilio plivo' -d 'Only this carrier\'s'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l to -r -f -d 'Only to this number, E.164'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l outcome -r -f -a 'completed accepted internal_error usage policy_refused auth_error provider_refused config_error local_error busy no_answer failed voicemail rejected silent agent_failed max_duration unknown unobserved temporary interrupted' -d 'Only with this outcome'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l state -r -f -a 'intent ultravox_created leg_intent not_placed placed unknown ended' -d 'Only those that stand so in the journal'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l since -r -f -d 'Begun then or later: 2026-11-22, 2026-11-22T09:30 (UTC), or so long ago: 2h'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l until -r -f -d 'Begun before then'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l limit -r -f -d 'At most so many, the newest'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls list\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls show\'' -l refresh -d 'Ask the vendors what they know by now, and remember it'
complete -c uvcall -n '__uvcall_at \'calls show\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls show\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls show\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls show\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls show\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls watch\'' -l timeout -r -f -d 'Stop watching after; leaves the call alone; exit 21'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l expect -r -f -a '(__uvcall_list completed accepted internal_error usage policy_refused auth_error provider_refused config_error local_error busy no_answer failed voicemail rejected silent agent_failed max_duration unknown unobserved temporary interrupted)' -d 'Exit 0 only for these outcomes, else 32 or their own code'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l ok-codes -r -f -d 'Exit codes to turn into 0: 10,11'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls watch\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls say\' 1' -a '(__uvcall_at_file)'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l as -r -f -a 'agent user' -d 'agent: the agent says exactly this'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l urgency -r -f -a 'immediate soon later' -d 'How soon (agent: immediate; user: soon); later, of the user: at the next turn'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l uninterruptible -d 'The agent says it to its end, whoever speaks'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls say\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls hangup\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls hangup\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls hangup\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls hangup\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls hangup\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l format -r -f -a 'text jsonl srt vtt' -d 'How it is written (by the file\'s ending, else text)'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l output -s o -r -F -d 'Where to (stdout)'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l force -d 'Replace the file if it is there'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l tools -d 'With what tools were asked, and what they answered'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls transcript\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls recording\'' -l output -s o -r -F -d 'Where to (ID.wav here); - is stdout'
complete -c uvcall -n '__uvcall_at \'calls recording\'' -l force -d 'Replace the file if it is there'
complete -c uvcall -n '__uvcall_at \'calls recording\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls recording\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls recording\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls recording\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls recording\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'calls events\'' -l severity -r -f -a 'debug info warning error' -d 'Those at least so bad'
complete -c uvcall -n '__uvcall_at \'calls events\'' -l type -r -f -d 'Those of this type only'
complete -c uvcall -n '__uvcall_at \'calls events\'' -l sandbox -d 'Ask the running `sandbox serve` in place of the vendors'
complete -c uvcall -n '__uvcall_at \'calls events\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'calls events\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'calls events\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'calls events\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config\' 0' -a init -d 'Ask for what a carrier needs, say where to find it, check it, and write it down'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a set -d 'Set a setting in the file, or in the profile of --profile'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a get -d 'Print a setting\'s value; a secret only as set (…last4)'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a unset -d 'Remove a setting from the file, or from the profile of --profile'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a list -d 'Show every setting with its value and where that came from'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a path -d 'Print where the configuration file is'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a check -d 'Try the credentials at Ultravox and the carriers; no call is placed'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a agents -d 'List the account\'s agents, for --agent'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a voices -d 'List the voices, for --voice'
complete -c uvcall -n '__uvcall_at \'config\' 0' -a models -d 'List the models, for --model'
complete -c uvcall -n '__uvcall_at \'config\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config init\'' -l provider -r -f -a 'telnyx twilio plivo' -d 'Carrier (default: the only one configured)'
complete -c uvcall -n '__uvcall_at \'config init\'' -l check -d 'Try the credentials at the vendors before writing'
complete -c uvcall -n '__uvcall_at \'config init\'' -l no-check -d 'Try the credentials at the vendors before writing'
complete -c uvcall -n '__uvcall_at \'config init\'' -l no-keyring -d 'Keep secrets in the file (0600), not in the system\'s keyring'
complete -c uvcall -n '__uvcall_at \'config init\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config init\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config init\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config init\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config set\' 0' -a 'provider\\t\'carrier to use\' ultravox.api_key\\t\'Ultravox API key\' ultravox.base_url\\t\'where the Ultravox API is\' telnyx.api_key\\t\'Telnyx API key\' telnyx.public_key\\t\'key that checks Telnyx\\\'s webhooks\' telnyx.connection_id\\t\'Voice API application (connection) that places the calls\' telnyx.from\\t\'caller number at Telnyx\' telnyx.base_url\\t\'where the Telnyx API is\' telnyx.stream_track\\t\'which audio Telnyx streams to the agent\' telnyx.codec\\t\'codec of the Telnyx stream\' telnyx.target_legs\\t\'which legs hear the agent\' twilio.account_sid\\t\'Twilio account SID\' twilio.auth_token\\t\'Twilio auth token\' twilio.from\\t\'caller number at Twilio\' twilio.base_url\\t\'where the Twilio API is\' plivo.auth_id\\t\'Plivo auth ID\' plivo.auth_token\\t\'Plivo auth token\' plivo.from\\t\'caller number at Plivo\' plivo.codec\\t\'codec of the Plivo stream\' plivo.answer_url\\t\'public URL that reaches the answer port of this machine\' plivo.answer_port\\t\'port on which dial answers Plivo\' plivo.base_url\\t\'where the Plivo API is\' call.agent\\t\'Ultravox agent that speaks\' call.prompt\\t\'system prompt, when no agent is set\' call.voice\\t\'voice, by id or name\' call.model\\t\'model, by name\' call.language\\t\'language hint, BCP 47\' call.max_duration\\t\'longest call\' call.ring_timeout\\t\'how long it may ring\' call.first_speaker\\t\'who speaks first\' call.greeting\\t\'what the agent says first, or to a silent callee\' call.record\\t\'have Ultravox record the call\' talk.medium\\t\'how talk reaches the agent\' server.public_url\\t\'public URL that reaches serve-inbound\' server.host\\t\'address that serve-inbound listens on\' server.port\\t\'port that serve-inbound listens on\' server.numbers\\t\'numbers that may be rung\' server.allow_from\\t\'callers to answer; all others are turned away\' server.deny_from\\t\'callers to turn away\' server.max_concurrent\\t\'calls at the same time\' server.forward_to\\t\'where callers go when no agent can be had\' server.fallback_say\\t\'what callers hear when no agent can be had\' policy.countries\\t\'countries that may be called, ISO 3166 codes\' policy.window\\t\'hours of the callee\\\'s day in which a batch may call, 09:00-20:00\' policy.dnc\\t\'file with numbers never to call, one a line\''
complete -c uvcall -n '__uvcall_at \'config set\'' -l no-keyring -d 'Keep secrets in the file (0600), not in the system\'s keyring'
complete -c uvcall -n '__uvcall_at \'config set\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config set\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config set\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config set\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config get\' 0' -a 'provider\\t\'carrier to use\' ultravox.api_key\\t\'Ultravox API key\' ultravox.base_url\\t\'where the Ultravox API is\' telnyx.api_key\\t\'Telnyx API key\' telnyx.public_key\\t\'key that checks Telnyx\\\'s webhooks\' telnyx.connection_id\\t\'Voice API application (connection) that places the calls\' telnyx.from\\t\'caller number at Telnyx\' telnyx.base_url\\t\'where the Telnyx API is\' telnyx.stream_track\\t\'which audio Telnyx streams to the agent\' telnyx.codec\\t\'codec of the Telnyx stream\' telnyx.target_legs\\t\'which legs hear the agent\' twilio.account_sid\\t\'Twilio account SID\' twilio.auth_token\\t\'Twilio auth token\' twilio.from\\t\'caller number at Twilio\' twilio.base_url\\t\'where the Twilio API is\' plivo.auth_id\\t\'Plivo auth ID\' plivo.auth_token\\t\'Plivo auth token\' plivo.from\\t\'caller number at Plivo\' plivo.codec\\t\'codec of the Plivo stream\' plivo.answer_url\\t\'public URL that reaches the answer port of this machine\' plivo.answer_port\\t\'port on which dial answers Plivo\' plivo.base_url\\t\'where the Plivo API is\' call.agent\\t\'Ultravox agent that speaks\' call.prompt\\t\'system prompt, when no agent is set\' call.voice\\t\'voice, by id or name\' call.model\\t\'model, by name\' call.language\\t\'language hint, BCP 47\' call.max_duration\\t\'longest call\' call.ring_timeout\\t\'how long it may ring\' call.first_speaker\\t\'who speaks first\' call.greeting\\t\'what the agent says first, or to a silent callee\' call.record\\t\'have Ultravox record the call\' talk.medium\\t\'how talk reaches the agent\' server.public_url\\t\'public URL that reaches serve-inbound\' server.host\\t\'address that serve-inbound listens on\' server.port\\t\'port that serve-inbound listens on\' server.numbers\\t\'numbers that may be rung\' server.allow_from\\t\'callers to answer; all others are turned away\' server.deny_from\\t\'callers to turn away\' server.max_concurrent\\t\'calls at the same time\' server.forward_to\\t\'where callers go when no agent can be had\' server.fallback_say\\t\'what callers hear when no agent can be had\' policy.countries\\t\'countries that may be called, ISO 3166 codes\' policy.window\\t\'hours of the callee\\\'s day in which a batch may call, 09:00-20:00\' policy.dnc\\t\'file with numbers never to call, one a line\''
complete -c uvcall -n '__uvcall_at \'config get\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config get\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config get\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config get\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config unset\' 0' -a 'provider\\t\'carrier to use\' ultravox.api_key\\t\'Ultravox API key\' ultravox.base_url\\t\'where the Ultravox API is\' telnyx.api_key\\t\'Telnyx API key\' telnyx.public_key\\t\'key that checks Telnyx\\\'s webhooks\' telnyx.connection_id\\t\'Voice API application (connection) that places the calls\' telnyx.from\\t\'caller number at Telnyx\' telnyx.base_url\\t\'where the Telnyx API is\' telnyx.stream_track\\t\'which audio Telnyx streams to the agent\' telnyx.codec\\t\'codec of the Telnyx stream\' telnyx.target_legs\\t\'which legs hear the agent\' twilio.account_sid\\t\'Twilio account SID\' twilio.auth_token\\t\'Twilio auth token\' twilio.from\\t\'caller number at Twilio\' twilio.base_url\\t\'where the Twilio API is\' plivo.auth_id\\t\'Plivo auth ID\' plivo.auth_token\\t\'Plivo auth token\' plivo.from\\t\'caller number at Plivo\' plivo.codec\\t\'codec of the Plivo stream\' plivo.answer_url\\t\'public URL that reaches the answer port of this machine\' plivo.answer_port\\t\'port on which dial answers Plivo\' plivo.base_url\\t\'where the Plivo API is\' call.agent\\t\'Ultravox agent that speaks\' call.prompt\\t\'system prompt, when no agent is set\' call.voice\\t\'voice, by id or name\' call.model\\t\'model, by name\' call.language\\t\'language hint, BCP 47\' call.max_duration\\t\'longest call\' call.ring_timeout\\t\'how long it may ring\' call.first_speaker\\t\'who speaks first\' call.greeting\\t\'what the agent says first, or to a silent callee\' call.record\\t\'have Ultravox record the call\' talk.medium\\t\'how talk reaches the agent\' server.public_url\\t\'public URL that reaches serve-inbound\' server.host\\t\'address that serve-inbound listens on\' server.port\\t\'port that serve-inbound listens on\' server.numbers\\t\'numbers that may be rung\' server.allow_from\\t\'callers to answer; all others are turned away\' server.deny_from\\t\'callers to turn away\' server.max_concurrent\\t\'calls at the same time\' server.forward_to\\t\'where callers go when no agent can be had\' server.fallback_say\\t\'what callers hear when no agent can be had\' policy.countries\\t\'countries that may be called, ISO 3166 codes\' policy.window\\t\'hours of the callee\\\'s day in which a batch may call, 09:00-20:00\' policy.dnc\\t\'file with numbers never to call, one a line\''
complete -c uvcall -n '__uvcall_at \'config unset\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config unset\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config unset\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config unset\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config list\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config list\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config list\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config list\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config path\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config path\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config path\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config path\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config check\'' -l provider -r -f -a 'telnyx twilio plivo' -d 'Carrier (default: the only one configured)'
complete -c uvcall -n '__uvcall_at \'config check\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'config check\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config check\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config check\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config check\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config agents\'' -l search -r -f -d 'Those with this in their name or description'
complete -c uvcall -n '__uvcall_at \'config agents\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'config agents\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config agents\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config agents\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config agents\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config voices\'' -l search -r -f -d 'Those with this in their name or description'
complete -c uvcall -n '__uvcall_at \'config voices\'' -l language -r -f -d 'Those of this language: de, en-US (BCP 47)'
complete -c uvcall -n '__uvcall_at \'config voices\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'config voices\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config voices\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config voices\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config voices\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'config models\'' -l search -r -f -d 'Those with this in their name or description'
complete -c uvcall -n '__uvcall_at \'config models\'' -l sandbox -d 'Use simulated vendors on this machine: no account, no cost'
complete -c uvcall -n '__uvcall_at \'config models\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'config models\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'config models\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'config models\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'sandbox\' 0' -a serve -d 'Run the sandbox until interrupted; print one JSON line when it is ready'
complete -c uvcall -n '__uvcall_at \'sandbox\' 0' -a ring -d 'Ring a webhook as a carrier does, follow what it answers, and exit with what came of the call'
complete -c uvcall -n '__uvcall_at \'sandbox\' 0' -a env -d 'Print the `export` lines that point uvcall, and the vendors\' own SDKs, at a running `sandbox serve`'
complete -c uvcall -n '__uvcall_at \'sandbox\' 0' -a fidelity -d 'List every known difference between the sandbox and the vendors'
complete -c uvcall -n '__uvcall_at \'sandbox\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l port -r -f -d 'Port; 0 for any free one'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l scenario -r -f -a 'answer\\t\'answers and talks\' busy\\t\'is on the phone already\' no-answer\\t\'lets it ring\' rejected\\t\'presses the red button\' voicemail\\t\'is away: an answering machine speaks\' failed\\t\'has a number out of service\' mute\\t\'answers and never speaks\' hangup-early\\t\'answers and hangs up at once\' lost-reply\\t\'answers, but the carrier\\\'s reply never arrives\' rate-limited\\t\'answers once the carrier has said 429\' no-join\\t\'answers, and the agent never joins\' agent-drop\\t\'answers, and the agent\\\'s side breaks\'' -d 'With --sandbox: what the callee does'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l speed -r -f -d 'With --sandbox: so many times faster than life'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l faults -r -f -a 'off\\t\'none\' on\\t\'a few of each\'' -d 'With --sandbox: faults to inject'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l seed -r -f -d 'With --sandbox: the same seed, the same faults'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l callee-audio -r -F -d 'With --sandbox: what the callee says'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l agent-script -r -F -d 'With --sandbox: the agent\'s lines, one a line'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'sandbox serve\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l provider -r -f -a 'telnyx twilio plivo' -d 'Carrier whose number is rung'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l to -r -f -d 'The webhook, on this machine (where the number leads)'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l from -r -f -d 'Who rings: E.164, or anonymous'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l called -r -f -d 'Which number is rung (the sandbox\'s own)'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l signature -r -f -a 'good bad expired missing resplit' -d 'How the webhook is signed'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l duplicate -r -f -d 'Send N copies of it: half beside it, half late'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l fallback-url -r -f -d 'Whom to ask when the webhook fails'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l status-url -r -f -d 'Where to send word of the end'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l public-url -r -f -d 'Base of the address that is signed, if not that of --to'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l key-env -r -f -d 'Environment variable with the key that signs (the sandbox\'s)'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l call-control -d 'Telnyx: a Call Control event, commands taken on --port'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l port -r -f -d 'With --call-control: where Telnyx\'s API listens'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l at -r -f -d 'Ring from inside the sandbox that runs there'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l hang-up-after -r -f -d 'The caller hangs up, answered or not'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l scenario -r -f -a 'answer mute hangup-early' -d 'The caller: answer (talks), mute, hangup-early'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l callee-audio -r -F -d 'What the caller says'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l speed -r -f -d 'So many times faster than life'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'sandbox ring\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'sandbox env\'' -l port -r -f -d 'Where it listens (the one started last)'
complete -c uvcall -n '__uvcall_at \'sandbox env\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'sandbox env\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'sandbox env\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'sandbox env\'' -l help -s h -d 'Show this message and exit'

complete -c uvcall -n '__uvcall_at \'sandbox fidelity\'' -l json -d 'Print JSON, and nothing else, on stdout'
complete -c uvcall -n '__uvcall_at \'sandbox fidelity\'' -l quiet -s q -d 'Say nothing but warnings and errors'
complete -c uvcall -n '__uvcall_at \'sandbox fidelity\'' -l verbose -s v -d 'Say more'
complete -c uvcall -n '__uvcall_at \'sandbox fidelity\'' -l help -s h -d 'Show this message and exit'
