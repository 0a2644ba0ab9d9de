"""Time that a build took."""

import time


class Stopwatch:
    """Seconds since it was created: this process's processor time where the device is "cpu", which leaves out what else
    the machine does; else by the clock."""

    def __init__(self, device: str = "cpu"):
        self.clock = time.process_time if device == "cpu" else time.perf_counter
        self.start = self.clock()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.clock() - self.start
