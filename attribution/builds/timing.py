"""Time that a build took."""

import time


class Stopwatch:
    """Seconds since it was made: of this process's processor time where a processor works, which leaves out what else
    the machine does, and by the clock where another device does."""

    def __init__(self, device: str = "cpu"):
        self.clock = time.process_time if device == "cpu" else time.perf_counter
        self.start = self.clock()

    @property
    def seconds(self) -> float:
        return self.clock() - self.start
