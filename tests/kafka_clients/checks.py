"""What all programs share: their argument, names of their own, and checks that say what holds.

A program is started with the address of a broker. It prints `ok NAME` for each check that holds, and ends at the first that does not.
"""
import select
import subprocess
import sys
import time
import uuid

BOOTSTRAP = sys.argv[1]
RUN = uuid.uuid4().hex[:8]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
# How long anything may take that takes a few seconds if all is well.
PATIENCE = 40.0


def name(base):
    """A name that no earlier run has used."""
    return f"{base}-{RUN}"


def check(label, holds, detail=""):
    if not holds:
        print(f"FAILED {label}: {detail!r}", flush=True)
        sys.exit(1)
    print("ok", label, flush=True)


def equal(label, seen, expected):
    check(label, seen == expected, f"seen {seen!r}, expected {expected!r}")


def until(condition, patience=PATIENCE, pause=0.1):
    """Waits until the condition holds; gives what it gave last."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(pause)


def becomes(label, call, expected):
    """Checks what is true soon, where it need not be so at once."""
    until(lambda: call() == expected)
    equal(label, call(), expected)


def refused(call, *arguments, **options):
    """The exception that the call ends with, or None."""
    try:
        call(*arguments, **options)
    except Exception as error:  # pylint: disable=broad-except
        return error
    return None


def run(*scenarios):
    for scenario in scenarios:
        began = time.monotonic()
        print("--", scenario.__name__, flush=True)
        scenario()
        print(f"   {time.monotonic() - began:.1f} s", flush=True)


class Process:
    """The calling program once more, in a role that it plays in a process of its own, so that it can be killed."""

    def __init__(self, *role):
        command = [sys.executable, sys.argv[0], BOOTSTRAP, *role]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def line(self):
        """The next line that it prints; an empty one if it has ended."""
        return self.process.stdout.readline().strip()

    def has_line(self):
        """Whether it has printed something that was not read."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def kill_broker():
    """Has whoever started this program kill the broker (kill -9), and start it anew where it was."""
    print("please: kill the broker", flush=True)
    answer = sys.stdin.readline().strip()
    check("the broker was killed and is back", answer == "done", answer)


def role():
    """What this process is to play: empty for the program itself."""
    return sys.argv[2:]
