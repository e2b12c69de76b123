"""Who pushed and who popped what. Every element is pushed once, so it may be popped once.

An element is known by its name, the bytes up to the first space. What a client that left had been
waiting for may have been popped for it and never arrived: so many may be missing, and no more.
"""


class Wrong(AssertionError):
    """An element was popped twice, or never, or never pushed."""


class Ledger:
    def __init__(self):
        self.pushed = set()
        self.popped = {}  # Name -> how it was popped.
        self.left_while_popping = 0

    def push(self, elements):
        """They are about to be pushed."""
        self.pushed.update(name_of(element) for element in elements)

    def pop(self, element, how):
        name = name_of(element)
        if name not in self.pushed:
            raise Wrong(f"{how} gave {element[:60]!r}, which nobody pushed")
        if name in self.popped:
            raise Wrong(f"{name!r} popped by {self.popped[name]} and again by {how}")
        if not element.endswith(b" " + name):
            raise Wrong(f"{how} gave {name!r} with other bytes")
        self.popped[name] = how

    def close(self):
        """The verdict, once every key is empty and nobody waits for a reply."""
        missing = self.pushed - self.popped.keys()
        if len(missing) > self.left_while_popping:
            raise Wrong(f"{len(missing)} of {len(self.pushed)} elements never popped, "
                        f"{self.left_while_popping} clients left: {sorted(missing)[:5]}")
        return len(missing)


def element(name, size):
    """An element called `name`, of at least `size` bytes."""
    return name + b" " + name * (max(0, size - 2 * len(name)) // len(name)) + b" " + name


def name_of(data):
    return data[:data.find(b" ")]
