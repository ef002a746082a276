"""What is known to differ between the sandbox and the vendors: `uvcall sandbox fidelity` prints it.

A row belongs here whenever the sandbox does something that a vendor does not, leaves out something that a client could
meet, or had to choose because the vendor's documents are silent. `vendor` then says "not documented".
"""

from __future__ import annotations

from typing import Final

from uvcall.sandbox.difference import SILENT, Difference
from uvcall.sandbox.fidelity_room import ROOM
from uvcall.sandbox.fidelity_ultravox import ULTRAVOX

DIFFERENCES: Final = (
    Difference("all", "transport", "http and ws on loopback, one port for all peers", "https and wss, a host for each"),
    Difference(
        "all",
        "reach",
        "contacts this machine only: callbacks, answer URLs and streams that lead elsewhere fail as unreachable",
        "any public address",
    ),
    Difference(
        "all",
        "accounts",
        "one account for each peer, with fixed credentials and numbers; where a number leads can be changed, and the "
        "applications that it leads to can be made, changed and deleted",
        "as many as there are customers; numbers can be bought, profiles and trunks made",
    ),
    Difference("all", "request size", "1 MiB, then 413", SILENT),
    Difference("all", "time", "`--speed` shortens rings, speech and limits; timeouts of real sockets stay", "life"),
    Difference(
        "all", "waiting for records", "records, events and summaries are there at once", "seconds to half an hour"
    ),
    Difference("all", "money", "balances never change; costs are made up or absent", "calls are billed"),
    Difference(
        "carriers",
        "who may be called",
        "any E.164 number; the scenario decides what happens",
        "geographic permissions, trial limits, blocked and premium numbers",
    ),
    Difference(
        "carriers",
        "calls of a number",
        "go where the number leads, by POST, for `sandbox ring` without `--to`; a call that is dialed to it does not",
        "every call to the number",
    ),
    Difference(
        "carriers",
        "settings of a number and of an application",
        "addresses, methods and names are checked; what has no effect on a call is kept or ignored",
        "checked and obeyed",
    ),
    Difference(
        "carriers",
        "how long it takes",
        "0.05 s to dial, 0.4 s of ringing, 0.6 s to tell a machine from a person",
        "seconds each",
    ),
    Difference(
        "carriers",
        "answering-machine verdicts",
        "always right, after a fixed time, whatever is said; the tuning parameters have no effect",
        "guessed from the sound; `not_sure`, `unknown`, fax and silence occur",
    ),
    Difference(
        "carriers",
        "verbs of answer documents",
        "streams, pauses, speech, Dial, Redirect, Hangup, Reject; others are passed over and noted in the history",
        "many more verbs",
    ),
    Difference(
        "carriers",
        "speech and files in answer documents",
        "last as long as their text would (a file one second) and are not heard",
        "heard",
    ),
    Difference(
        "carriers",
        "Dial",
        "rings one number by its scenario; the two sides stay together for a second and hear nothing",
        "connects the two callers, several numbers, SIP, conferences",
    ),
    Difference(
        "carriers",
        "stream URL",
        "`ws` to loopback is taken beside `wss`",
        "`wss` only",
    ),
    Difference("carriers", "retries of callbacks", "a few, close together, never to a second URL", "see each carrier"),
    Difference(
        "carriers",
        "who rings (`sandbox ring`)",
        "somebody who lets it ring for 60 s and says one sentence",
        "anybody",
    ),
    Difference(
        "carriers",
        "patience with the webhook of an incoming call",
        "Twilio 15 s in all and once more when it cannot connect, Plivo two tries of 15 s, Telnyx three of 2 s; "
        "then the fallback URL likewise",
        "Twilio's is that; Plivo's pages name 15 s and 40 s; Telnyx documents 2 s for Call Control, and for TeXML none",
    ),
    Difference(
        "carriers",
        "an incoming call whose webhook and fallback fail",
        "ends as failed, unanswered and in silence",
        "Twilio answers and a voice says that an error occurred; of the others it is not documented",
    ),
    Difference("carriers", "redirects (3xx) of a webhook", "not followed: an answer that is not 2xx", "Twilio follows"),
    Difference(
        "carriers",
        "headers of a webhook beside its signature",
        "a User-Agent that names the carrier, and Twilio's I-Twilio-Idempotency-Token",
        SILENT,
    ),
    Difference(
        "carriers",
        "recording, conferences, messaging, SIP",
        "not there; parameters that ask for them are accepted and ignored",
        "there",
    ),
    Difference(
        "telnyx",
        "commands of a running call",
        "hangup, streaming_start, speak and transfer; for incoming calls answer and reject; any other is 404",
        "some forty",
    ),
    Difference("telnyx", "unknown parameters of a dial", "ignored", SILENT),
    Difference(
        "telnyx", "a repeated `command_id`", "within 60 s the first call's answer again, nothing placed", SILENT
    ),
    Difference("telnyx", "`is_alive` of a call that does not ring yet", "false", SILENT),
    Difference(
        "telnyx", "status of a refused parameter", "422; 403 for a caller number that is not the account's", SILENT
    ),
    Difference("telnyx", "order of call events", "the newest first", SILENT),
    Difference(
        "telnyx",
        "`metadata` of a call event",
        "the webhook's `data` object itself",
        "an object, its shape not documented",
    ),
    Difference(
        "telnyx",
        "who hangs up after the stream has ended (Call Control)",
        "the person, after a second of silence; without any stream after ten",
        "nobody, until a command or the time limit",
    ),
    Difference(
        "telnyx",
        "`stream_bidirectional_target_legs`",
        "the person hears the agent whatever it says",
        "which leg hears it on a call with one leg is not documented",
    ),
    Difference("telnyx", "stream codecs", "L16 (16 kHz), PCMU, PCMA; G722, OPUS and AMR-WB are refused", "all of them"),
    Difference("telnyx", "`mp3` streams", "what the agent sends is not played", "MP3 files are played"),
    Difference("telnyx", "`stream_auth_token`, `stream_establish_before_call_originate`", "no effect", "in effect"),
    Difference("telnyx", "deleting an application that has numbers", "422 with 10027", SILENT),
    Difference("telnyx", "an empty `connection_id` of a number", "takes it from its connection", SILENT),
    Difference("telnyx", "several destinations in `to`, SIP addresses", "refused as no E.164 number", "dialed"),
    Difference(
        "telnyx",
        "retries of webhooks",
        "two more, after 0.2 s and 0.5 s, not to the failover URL",
        "number and pauses not documented",
    ),
    Difference("telnyx", "`webhook_url_method`, `webhook_urls`", "webhooks go to `webhook_url` by POST", "in effect"),
    Difference(
        "telnyx",
        "TeXML: an incoming call before its document is there",
        "rings; CallStatus is ringing",
        "its pages disagree",
    ),
    Difference("telnyx", "TeXML: Content-Type of a document", "any", SILENT),
    Difference("telnyx", "a command that comes too late for a call's state", "422 with 90034 or 10027", SILENT),
    Difference("telnyx", "TeXML: `sid` in the answer to a create", "absent, as in the published schema", SILENT),
    Difference("telnyx", "TeXML: a queued call", "is `ringing` in the list", SILENT),
    Difference("telnyx", "TeXML: stream status callbacks", "none", "sent"),
    Difference(
        "telnyx", "TeXML: changing a running call", "the StatusCallback of an update has no effect", "in effect"
    ),
    Difference("telnyx", "rate and channel limits", "none but those of scenarios and faults", "per account"),
    Difference("twilio", "calls per second", "one; the others wait in the queue", "one unless raised; the same"),
    Difference("twilio", "To", "E.164 only", "also SIP addresses, clients, and national forms of some countries"),
    Difference(
        "twilio",
        "a number's application or trunk",
        "any SID is taken; calls of the number then lead nowhere",
        "one of the account's; its own settings decide",
    ),
    Difference("twilio", "a number's setting that is no address or method", "400 with 21205 or 20422", SILENT),
    Difference(
        "twilio", "Timeout above 600", "taken as 600", "600 is the documented maximum; what is above is not documented"
    ),
    Difference("twilio", "codes of rare refusals", "20422 for a bad Method, Timeout or MachineDetection", SILENT),
    Difference(
        "twilio", "changing a running call", "TimeLimit and the StatusCallback of an update have no effect", "in effect"
    ),
    Difference("twilio", "ApplicationSid", "refused", "taken"),
    Difference("twilio", "a document after a failed stream", "goes on with the next verb", SILENT),
    Difference(
        "twilio", "a faulty document", "ends the call in silence", "a voice says that an application error occurred"
    ),
    Difference(
        "twilio", "attributes that a verb does not have", "ignored without a warning", "ignored with warning 12200"
    ),
    Difference(
        "twilio",
        "Voice Insights summary",
        "there at once, `partial`, few fields",
        "within ten minutes; an advanced feature",
    ),
    Difference("twilio", "the token in the account's record", "not shown", "shown"),
    Difference(
        "twilio",
        "URL fragments that tune callbacks",
        "in effect for the webhook of an incoming call (`ct`, `rt`, `tt`, `rc`, `rp`), ignored elsewhere",
        "in effect (`#rc=…`)",
    ),
    Difference(
        "twilio", "fields of an incoming call", "no CallToken, CallerName or ForwardedFrom", "there, when they apply"
    ),
    Difference("plivo", "`request_uuid` and `call_uuid`", "always differ", "may be equal"),
    Difference("plivo", "calls per second", "two; the others wait in the queue", "two unless raised; the same"),
    Difference("plivo", "API requests per five seconds", "no limit", "300"),
    Difference("plivo", "words of errors", "written for the sandbox", SILENT),
    Difference("plivo", "a wrong credential", "401 with a JSON body", "401; its body is not documented"),
    Difference("plivo", "deleting an application that has numbers", "400", SILENT),
    Difference("plivo", "two applications of one name", "400", SILENT),
    Difference(
        "plivo",
        "code of a number out of service",
        "2010, a declined call 3020, a busy one 3010",
        "one of several codes in 2000 to 3140",
    ),
    Difference("plivo", "`call_state` of a call without an answer", "RINGING or INITIATED", SILENT),
    Difference("plivo", "a queued call", "has the fields of a live one, `call_status` queued", SILENT),
    Difference("plivo", "`contentType` of a stream without one", "audio/x-l16;rate=8000", "its pages disagree"),
    Difference("plivo", "events of stream callbacks", "StartStream, StopStream, DroppedStream", "its pages disagree"),
    Difference("plivo", "the URL that the stream's handshake signs", "as it stands, with its scheme", SILENT),
    Difference("plivo", "`<Hangup>` without a reason as the first element", "answers and hangs up", SILENT),
    Difference("plivo", "the nonce of a webhook that is sent once more", "a new one", SILENT),
    Difference("plivo", "the signature of the main account", "no X-Plivo-Signature-Ma-V3", "sent"),
    Difference("plivo", "hangup_on_ring, send_digits, caller_name, sip_headers, callback_url", "ignored", "in effect"),
    Difference("plivo", "transferring a live call", "the aleg only", "also the bleg, or both"),
    Difference("plivo", "starting a stream by API on a live call", "404", "POST /Call/{uuid}/Stream/"),
    *ULTRAVOX,
    *ROOM,
)
