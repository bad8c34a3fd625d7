# SPDX-License-Identifier: BSD-3-Clause
# usage: strangers.py PORT COUNT KEPT: COUNT connections to the data port at PORT of this
# machine, of which KEPT are held open at a time, that say nothing, a byte, half of a
# request, more than they send, or nonsense. Says how many it was not let to make.
import random
import resource
import socket
import sys

port, count, kept = (int(text) for text in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE,
                   (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
draw = random.Random(7)
# The head of a request of libfabric's tcp, with 16 more bytes promised.
HEAD = bytes([4, 1, 0, 16]) + bytes(28)


def words():
    return (b"", b"x", b"x" * 31, HEAD, HEAD + b"y" * 3, draw.randbytes(48),
            HEAD + draw.randbytes(16))[draw.randrange(7)]


held, refused = [], 0
for _ in range(count):
    s = socket.socket()
    s.settimeout(5)
    try:
        s.connect(("127.0.0.1", port))
        s.send(words())
        held.append(s)
    except OSError:
        refused += 1
        s.close()
    if len(held) > kept:
        held.pop(draw.randrange(len(held))).close()
print(refused)
