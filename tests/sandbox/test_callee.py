import pytest
from support.stage import goertzel, loudest, tone, tone_wav

from uvcall.core.audio import FRAME_S, level
from uvcall.errors import UsageError
from uvcall.sandbox.callee import pick_up
from uvcall.sandbox.hearing import VOICE_LEVEL, Ear
from uvcall.sandbox.scenarios import SCENARIOS
from uvcall.sandbox.speech import AGENT, CALLEE, FAREWELL, GREETING, HELLO, MACHINE, speech

SILENCE = bytes(640)


def live(person, seconds, heard=SILENCE):
    """Let the person live on a line of 16 kHz; return each frame, and what was said and pressed when."""
    frames, sentences, keys = [], [], []
    for _ in range(round(seconds / FRAME_S)):
        frames.append(person.say(heard))
        sentences += [person.sentence] if person.sentence else []
        keys += [person.key] if person.key else []
    return frames, sentences, keys


def spoken(frames):
    return [index * FRAME_S for index, frame in enumerate(frames) if level(frame) >= VOICE_LEVEL]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_answers_says_one_sentence_and_listens(rate):
    person = pick_up(SCENARIOS["answer"], rate)
    frames, sentences, _ = live(person, 3, bytes(rate // 50 * 2))
    assert {len(frame) for frame in frames} == {rate // 50 * 2}
    assert sentences == [HELLO]
    times = spoken(frames)
    assert 0 < times[0] < 0.3
    assert times[-1] < 1.4
    assert frames[-1] == bytes(rate // 50 * 2)
    assert not person.hung_up


def test_lets_the_other_side_finish_first():
    person = pick_up(SCENARIOS["answer"], 16000)
    frames, _, _ = live(person, 1, tone(300, FRAME_S, 16000))
    assert spoken(frames) == []
    frames, sentences, _ = live(person, 1.5)
    assert sentences == [HELLO]
    assert 0.2 < spoken(frames)[0] < 0.4


def test_mute_never_speaks():
    frames, sentences, _ = live(pick_up(SCENARIOS["mute"], 16000), 5)
    assert spoken(frames) == []
    assert sentences == []


def test_a_machine_speaks_and_beeps_whoever_talks():
    frames, sentences, _ = live(pick_up(SCENARIOS["voicemail"], 16000), 3.5, tone(300, FRAME_S, 16000))
    assert sentences == [MACHINE]
    assert goertzel(b"".join(frames[-100:])[:], 16000, 1000) > 0.1
    beep = b"".join(frames)[-2 * 16000 * 2 :]
    assert goertzel(loudest(beep, 16000, 0.2), 16000, 1000) > 0.9


def test_hangs_up_early():
    person = pick_up(SCENARIOS["hangup-early"], 16000)
    live(person, 0.7)
    assert not person.hung_up
    live(person, 0.2)
    assert person.hung_up


def test_plays_any_wav_at_the_lines_rate():
    person = pick_up(SCENARIOS["answer"], 8000, tone_wav(440, 0.5, rate=44100))
    frames, sentences, _ = live(person, 1.5, bytes(320))
    assert sentences == []
    assert len(spoken(frames)) == pytest.approx(25, abs=1)
    assert goertzel(loudest(b"".join(frames), 8000), 8000, 440) > 0.95


def test_a_broken_wav_is_refused():
    with pytest.raises(UsageError):
        pick_up(SCENARIOS["answer"], 8000, b"not a wav")


def test_presses_keys_one_by_one_after_speaking():
    person = pick_up(SCENARIOS["answer"], 16000, digits="12#")
    frames, _, keys = live(person, 2.5)
    assert keys == ["1", "2", "#"]
    assert live(person, 1)[2] == []
    assert spoken(frames)


class TestEar:
    def hear(self, ear, *parts):
        """Each part is (loud, seconds); return the turns."""
        turns = []
        for loud, seconds in parts:
            for _ in range(round(seconds / FRAME_S)):
                turn = ear.hear(tone(300, FRAME_S, 8000) if loud else bytes(320), FRAME_S)
                turns += [turn] if turn else []
        return turns

    def test_a_turn_ends_after_enough_silence(self):
        turns = self.hear(Ear(endpoint=0.3), (False, 0.5), (True, 0.6), (False, 0.28))
        assert turns == []
        ear = Ear(endpoint=0.3)
        (turn,) = self.hear(ear, (False, 0.5), (True, 0.6), (False, 0.4))
        assert (turn.start, turn.end) == (pytest.approx(0.5), pytest.approx(1.1))

    def test_a_pause_within_a_sentence_is_no_end(self):
        (turn,) = self.hear(Ear(endpoint=0.3), (True, 0.3), (False, 0.2), (True, 0.3), (False, 0.5))
        assert (turn.start, turn.end) == (pytest.approx(0.0), pytest.approx(0.8))

    def test_a_click_is_no_turn(self):
        ear = Ear(endpoint=0.3)
        assert self.hear(ear, (True, 0.1), (False, 1.0), (True, 0.1), (False, 1.0)) == []

    def test_noise_below_the_level_of_voice_is_silence(self):
        ear = Ear()
        quiet = bytes([40, 0]) * 160
        assert all(ear.hear(quiet, FRAME_S) is None for _ in range(100))
        assert ear.voiced == 0


@pytest.mark.parametrize(("text", "voice"), [(HELLO, CALLEE), (GREETING, AGENT), (FAREWELL, AGENT), (MACHINE, CALLEE)])
def test_shipped_clips_are_short_and_audible(text, voice):
    sound = speech(text, voice, 16000)
    assert 0.4 < sound.seconds < (1.8 if text == MACHINE else 1.1)
    assert level(sound.samples) > 1000


def test_a_line_without_a_clip_is_babbled_audibly_and_always_alike():
    short, long = (speech(text, AGENT, 8000) for text in ("Yes.", "Your order is ready, please come by tomorrow."))
    assert short.seconds < long.seconds
    assert level(long.samples) > 800
    assert speech("Your order is ready.", AGENT, 8000).samples != speech("Your order is ready.", CALLEE, 8000).samples
    assert speech("42", AGENT, 8000).samples
    assert speech("…", AGENT, 8000).samples
    assert speech("你好", AGENT, 8000).samples
