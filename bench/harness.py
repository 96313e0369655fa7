"""What rows of the bench share: free ports, and servers under measurement."""

import signal
import socket
import subprocess
import threading

import psutil


def next_port():
    """A port of loopback that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server under measurement, in a process group of its own."""

    def __init__(self, argv, ready, stream="stderr"):
        pipes = {stream: subprocess.PIPE}
        if stream != "stderr":
            pipes["stderr"] = subprocess.DEVNULL
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True,
                                        process_group=0, **pipes)
        self.lines = getattr(self.process, stream)
        for line in self.lines:
            if ready in line:
                break
        else:
            raise RuntimeError(f"{argv[0]} did not start")
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        for _ in self.lines:
            pass

    def tree(self):
        me = psutil.Process(self.process.pid)
        return [me] + me.children(recursive=True)

    def workers(self):
        return psutil.Process(self.process.pid).children()

    def stop(self):
        tree = self.tree()
        self.process.send_signal(signal.SIGTERM)
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for p in tree:
            try:
                p.kill()
            except psutil.NoSuchProcess:
                pass
