"""What the machine was: a result without it says nothing."""

import datetime
import os
import platform
import subprocess

import psutil

HERE = os.path.dirname(os.path.abspath(__file__))


def describe(peers):
    """Everything that a reader of the results has to know about where they come from."""
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": field("/etc/os-release", "PRETTY_NAME", "="),
        "processor": field("/proc/cpuinfo", "model name", ":"),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "none",
        "virtual": virtual(),
        "load": [round(part, 2) for part in os.getloadavg()],
        "compiler": first_line(["gcc", "--version"]),
        "versions": {peer.name: peer.version() or "not installed" for peer in peers.values()},
    }


def sentence(machine):
    """The same in a line."""
    return (f"{machine['kernel']}, {machine['processors']} x {machine['processor']}, "
            f"{machine['memory_gib']} GiB, virtual machine: {machine['virtual']}, governor: "
            f"{machine['governor']}, load before: {machine['load'][0]}")


def read(path):
    """What is in a file; "" if it is not there."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def field(path, name, sign):
    """The value of a name in a file of names and values."""
    for line in read(path).splitlines():
        if line.startswith(name):
            return line.split(sign, 1)[1].strip().strip('"')
    return "unknown"


def first_line(argv):
    """Of what a command says; "" if it cannot be asked."""
    try:
        out = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    except OSError:
        return ""
    return out.splitlines()[0] if out else ""


def commit():
    """Which state of the source this is."""
    return first_line(["git", "-C", HERE, "describe", "--always", "--dirty"]) or "unknown"


def virtual():
    """What kind of virtual machine, or "none"."""
    return first_line(["systemd-detect-virt", "--vm"]) or (
        "yes" if "hypervisor" in field("/proc/cpuinfo", "flags", ":").split() else "none")
