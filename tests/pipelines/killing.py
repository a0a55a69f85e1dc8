"""Processes that are killed at a chosen moment, with a real SIGKILL."""

import os
import signal

import torch


def in_child(action):
    """Run an action in a forked process; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)
        action()
        os._exit(0)
    except BaseException as fault:
        os.write(2, f"{type(fault).__name__}: {fault}\n".encode())
        os._exit(1)


def wait(child):
    """Exit code of a child, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(call, n, action):
    """Run an action in which the n-th use of one of os's functions is preceded by a SIGKILL."""
    original, left = getattr(os, call), [n]

    def counted(*given, **named):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given, **named)

    setattr(os, call, counted)
    action()


def die_at_file(name, action):
    """Run an action in which the file of this name is never renamed into place: a SIGKILL comes first."""
    original = os.replace

    def watched(source, target):
        if os.path.basename(target) == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(source, target)

    os.replace = watched
    action()


def die_at_put(n, action, after=False):
    """Run an action in which the n-th object put is preceded, or followed, by a SIGKILL."""
    import s3fs

    put, left = s3fs.S3FileSystem._put_file, [n]

    async def counted(*given, **named):
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        await put(*given, **named)
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    s3fs.S3FileSystem._put_file = counted
    action()
