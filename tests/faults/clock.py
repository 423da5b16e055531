# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives one process another wall clock than its host's: clock.py PID SECONDS

A Go program asks for the time by a function that the kernel maps into each process, the vDSO. In the process's own copy of it
that function is replaced by one that adds the seconds, so no other process notices. The process must not run meanwhile.
Linux on x86-64, by root of the host.
"""

from __future__ import annotations

import ctypes
import pathlib
import platform
import struct
import sys

# clock_gettime(clock, time): the system call, and if it succeeded and the clock is CLOCK_REALTIME, the seconds are added.
MOVED = b"".join(
    (
        b"\xb8\xe4\x00\x00\x00\x0f\x05",  # mov eax, 228; syscall
        b"\x85\xc0\x75\x11",  # test eax, eax; jnz return
        b"\x85\xff\x75\x0d",  # test edi, edi; jnz return
        b"\x48\xb9%b",  # mov rcx, the seconds
        b"\x48\x01\x0e",  # add [rsi], rcx
        b"\xc3",  # return
    )
)


def move(pid: int, seconds: int) -> None:
    # All processes have the same vDSO, each at an address of its own.
    function = ctypes.cast(ctypes.CDLL("linux-vdso.so.1")["__vdso_clock_gettime"], ctypes.c_void_p).value or 0
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(_vdso(str(pid)) + function - _vdso("self"))
        memory.write(MOVED % struct.pack("<q", seconds))


def _vdso(process: str) -> int:
    lines = pathlib.Path(f"/proc/{process}/maps").read_text().splitlines()
    return int(next(line for line in lines if line.endswith("[vdso]")).partition("-")[0], 16)


if __name__ == "__main__":
    if platform.machine() != "x86_64":
        sys.exit(f"clock.py knows x86_64, not {platform.machine()}")
    move(int(sys.argv[1]), int(sys.argv[2]))
