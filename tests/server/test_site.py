"""The lines that tell what happens."""

from uvcall.server.site import Journal


def test_what_repeats_is_told_once_in_a_while_and_counted_to_the_end():
    lines, clock = [], [1000.0]
    journal = Journal(lambda line: lines.append(dict(line)), now=lambda: clock[0])
    for second in range(25):
        clock[0] = 1000.0 + second
        journal.watch("forged", carrier="ultravox", reason="wrong")
        journal.watch("event", carrier="ultravox", said="call.ended")
    journal.watch("forged", carrier="plivo", reason="wrong")
    journal.rest()
    told = [(line["carrier"], line.get("more", 0)) for line in lines if line["event"] == "forged"]
    assert told == [("ultravox", 0), ("ultravox", 9), ("ultravox", 9), ("plivo", 0), ("ultravox", 4)]
    assert sum(line["event"] == "event" for line in lines) == 25, "of what Ultravox tells nothing is left out"
    journal.stop()
    assert [line["event"] for line in lines[30:]] == ["stopped"]
