"""The agent's side as values: audio time runs as fast as the test feeds it."""

import pytest
from support.stage import tone

from uvcall.core.audio import level
from uvcall.sandbox.conversation import Conversation
from uvcall.sandbox.script import AskMark, DropQueued, Leave, Nudge, Plan, Speak
from uvcall.sandbox.speech import AGENT, speech

RATE = 8000
SCRIPT = ("Good morning.", "That is fine.", "Goodbye then.")
VOICE, QUIET = tone(300, 0.02, RATE), bytes(320)


class Line:
    """A carrier as values: plays what the agent sends, in time, and tells when marks are reached."""

    def __init__(self, plan, known=""):
        self.talk = Conversation(plan, RATE, lambda: known)
        self.queue, self.left, self.cleared, self.heard = [], None, 0, []
        self.buffered = 0

    def pass_time(self, seconds, frame=QUIET):
        for _ in range(round(seconds / 0.02)):
            if self.left:
                return
            self.talk.hear(frame)
            self.step()

    def silence(self, seconds):
        self.talk.wait(seconds)
        self.step()

    def step(self):
        if self.queue and isinstance(self.queue[0], Speak):
            self.heard.append(self.queue.pop(0).samples)
        while self.queue and isinstance(self.queue[0], AskMark):
            self.talk.reached(self.queue.pop(0).name)
        actions, self.talk.out = self.talk.out, []
        for action in actions:
            if isinstance(action, DropQueued):
                self.queue.clear()
                self.cleared += 1
            elif isinstance(action, Leave):
                self.left = action
            else:
                self.queue.append(action)
        self.buffered = max(self.buffered, sum(isinstance(item, Speak) for item in self.queue))

    @property
    def lines(self):
        return [(said.role, said.text) for said in self.talk.transcript]


def user_first(**more):
    return Plan(SCRIPT, opens_after_s=None, **more)


def test_the_agent_opens_answers_and_leaves():
    line = Line(Plan(SCRIPT))
    line.pass_time(1)
    assert line.lines == [("agent", SCRIPT[0])]
    line.pass_time(0.5, VOICE)
    line.pass_time(1.5)
    assert line.lines[1:] == [("user", "[speech, 0.5 s]"), ("agent", SCRIPT[1])]
    line.pass_time(0.4, VOICE)
    line.pass_time(3)
    assert line.lines[-1] == ("agent", SCRIPT[2])
    assert line.left == Leave("agent_hangup")


def test_a_silent_user_gets_the_rest_of_the_script():
    line = Line(Plan(SCRIPT))
    line.pass_time(10)
    assert line.lines == [("agent", text) for text in SCRIPT]
    assert line.left == Leave("agent_hangup")
    starts = [said.start for said in line.talk.transcript]
    ends = [said.end for said in line.talk.transcript]
    assert all(0.45 < start - end < 0.6 for start, end in zip(starts[1:], ends, strict=False))


def test_what_the_agent_says_is_sound_and_is_sent_little_ahead():
    line = Line(Plan(("A longer sentence that takes a good while to be said aloud.",)))
    line.pass_time(10)
    sound = b"".join(line.heard)
    whole = speech(line.lines[0][1], AGENT, RATE).samples
    assert sound[: len(whole)] == whole
    assert level(sound) > 800
    assert line.buffered <= 11  # a fifth of a second, and the frame that is being played


def test_without_a_fallback_the_agent_waits_for_ever():
    line = Line(user_first())
    line.pass_time(30)
    assert line.lines == []
    line.pass_time(0.4, VOICE)
    line.pass_time(1.5)
    assert line.lines == [("user", "[speech, 0.4 s]"), ("agent", SCRIPT[0])]


def test_the_fallback_comes_after_its_delay():
    line = Line(Plan(SCRIPT, opens_after_s=2.0, opening="Is anybody there?"))
    line.pass_time(1.9)
    assert not line.talk.out
    assert not line.queue
    line.pass_time(2)
    assert line.lines == [("agent", "Is anybody there?")]
    assert line.talk.transcript[0].start == pytest.approx(2.0, abs=0.03)


def test_a_user_who_speaks_gets_no_fallback():
    line = Line(Plan(SCRIPT, opens_after_s=2.0, opening="Is anybody there?"), known="Hello?")
    line.pass_time(1.7)
    line.pass_time(0.6, VOICE)
    line.pass_time(1.4)
    assert line.lines == [("user", "Hello?"), ("agent", SCRIPT[0])]


def test_nothing_is_written_down_that_was_not_heard():
    line = Line(Plan(SCRIPT), known="Hello?")
    line.pass_time(0.06, VOICE)
    line.pass_time(10)
    assert {role for role, _ in line.lines} == {"agent"}


def test_barge_in_clears_and_keeps_what_was_heard():
    text = "This is a rather long sentence which nobody will hear to its end."
    line = Line(Plan((text, "Bye.")))
    line.pass_time(1)
    line.pass_time(0.4, VOICE)
    assert line.cleared == 1
    assert line.queue == []
    role, heard = line.lines[0]
    assert role == "agent"
    assert 0 < len(heard) < len(text)
    assert text.startswith(heard)
    line.pass_time(1)
    assert line.lines[1][0] == "user"


def test_an_uninterruptible_greeting_goes_on():
    line = Line(Plan(SCRIPT, opening="You cannot stop me from saying this, whatever you do.", interruptible=False))
    line.pass_time(0.3)
    line.pass_time(0.5, VOICE)
    assert line.cleared == 0
    line.pass_time(4)
    assert ("agent", "You cannot stop me from saying this, whatever you do.") in line.lines


def test_an_interrupted_farewell_is_said_again():
    line = Line(Plan(("Goodbye, and thank you very much for calling us.",)))
    line.pass_time(0.5)
    line.pass_time(0.4, VOICE)
    assert line.left is None
    line.pass_time(5)
    assert line.lines[-1] == ("agent", "Goodbye, and thank you very much for calling us.")
    assert line.left == Leave("agent_hangup")


@pytest.mark.parametrize(("then", "leaves"), [("", False), ("soft", True), ("strict", True)])
def test_nudges_for_the_inactive(then, leaves):
    nudges = (Nudge(5, "Are you there?"), Nudge(5, "I will hang up.", then))
    line = Line(user_first(nudges=nudges))
    line.pass_time(4.9)
    assert line.lines == []
    line.pass_time(2)
    assert line.lines == [("agent", "Are you there?")]
    line.pass_time(12)
    assert line.lines[1] == ("agent", "I will hang up.")
    assert (line.left is not None) is leaves
    assert 5 < line.talk.transcript[1].start - line.talk.transcript[0].start < 7


def test_a_soft_ending_lets_the_user_come_back():
    line = Line(user_first(nudges=(Nudge(1, "I will hang up if you do not say anything now.", "soft"),)))
    line.pass_time(1.5)
    line.pass_time(0.4, VOICE)
    line.pass_time(0.7)
    assert line.left is None
    assert line.lines[1][0] == "user"


def test_time_passes_on_a_dead_line_too():
    line = Line(Plan(SCRIPT, opens_after_s=2.0))
    for _ in range(100):
        line.silence(0.1)
    assert line.lines == [("agent", text) for text in SCRIPT]


def test_marks_that_never_come_do_not_hold_the_agent_up():
    talk = Conversation(Plan(SCRIPT), RATE, str)
    for _ in range(500):
        talk.hear(QUIET)
    assert [said.text for said in talk.transcript] == list(SCRIPT)


def test_keys_become_one_message():
    line = Line(user_first(digits_text="pressed {digits}"))
    for key in "42#":
        line.talk.press(key)
        line.pass_time(0.2)
    line.pass_time(2)
    assert line.lines[0] == ("user", "pressed 42#")
    assert line.lines[1] == ("agent", SCRIPT[0])
    assert not line.talk.transcript[0].voice


def test_keys_may_be_ignored():
    line = Line(user_first(digits_text=None))
    line.talk.press("1")
    line.pass_time(3)
    assert line.lines == []


def test_a_forced_message_comes_before_everything():
    line = Line(Plan(("One long line that is going on and on and on and on.", "Bye.")))
    line.pass_time(0.6)
    line.talk.force("Listen to me.")
    line.step()
    line.pass_time(1.2)
    assert line.cleared == 1
    assert line.lines[-1] == ("agent", "Listen to me.")


def test_hanging_up_with_and_without_words():
    line = Line(user_first())
    line.talk.force("", ends_with="agent_hangup")
    line.step()
    assert line.left == Leave("agent_hangup")
    line = Line(user_first())
    line.talk.force("The time is over.", ends_with="timeout")
    line.pass_time(3)
    assert line.lines == [("agent", "The time is over.")]
    assert line.left == Leave("timeout")


def test_a_text_message_is_a_turn():
    line = Line(user_first())
    line.talk.tell("hello in writing")
    line.pass_time(1.5)
    assert line.lines == [("user", "hello in writing"), ("agent", SCRIPT[0])]


def test_a_text_agent_is_silent():
    line = Line(Plan(SCRIPT, voice=False))
    line.pass_time(3)
    assert line.heard == []
    assert [text for _, text in line.lines] == list(SCRIPT)


def test_the_agents_side_breaks():
    line = Line(Plan(SCRIPT, drops=True))
    line.pass_time(2)
    assert line.left == Leave("system_error", abrupt=True)
    assert line.talk.now == pytest.approx(1.0, abs=0.03)


def test_what_was_being_said_at_the_end_is_kept():
    line = Line(Plan(("A sentence of which the first half will be heard.",)))
    line.pass_time(1)
    line.talk.close()
    assert line.lines[0][1].startswith("A sentence")
    line = Line(user_first())
    line.pass_time(0.6, VOICE)
    line.talk.close()
    assert line.lines == [("user", "[speech, 0.6 s]")]
