"""A sound card that a test plays: the parts of sounddevice that are used, as its documents describe them."""

from __future__ import annotations

import types

RATE = 16_000


class Card:
    """The package, with a microphone and a speaker behind it."""

    class PortAudioError(Exception):
        pass

    def __init__(self, rates=(RATE,), default=48_000, missing=False):
        self.rates, self.default_rate, self.missing = rates, default, missing
        self.default = types.SimpleNamespace(device=(0, 1))
        self.streams = []
        card = self

        class Stream:
            def __init__(self, samplerate, blocksize, device, channels, dtype, latency, callback):
                if samplerate not in card.rates:
                    raise card.PortAudioError("Invalid sample rate")
                assert (channels, dtype) == (1, "int16")
                self.rate, self.block, self.callback, self.started = samplerate, blocksize, callback, False
                card.streams.append(self)

            def start(self):
                self.started = True

            def close(self):
                self.started = False

        self.RawInputStream = self.RawOutputStream = Stream

    def query_devices(self, device=None, kind=None):
        if self.missing:
            raise self.PortAudioError("Error querying device -1")
        found = [
            {"name": "Mic", "max_input_channels": 1, "max_output_channels": 0, "default_samplerate": 48_000.0},
            {"name": "Out", "max_input_channels": 0, "max_output_channels": 2, "default_samplerate": 48_000.0},
        ]
        return {**found[0], "default_samplerate": float(self.default_rate)} if kind else found
