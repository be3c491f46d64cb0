"""A radio that remembers whether it is on."""

history = []


class BLE:
    def active(self, on=None):
        if on is None:
            return bool(history and history[-1])
        history.append(on)
        return on

    def config(self, name):
        assert name == "mac"
        assert self.active()
        return 0, b"\x24\x6f\x28\x01\x02\x05"
