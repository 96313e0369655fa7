"""Servers that want another user for their workers when root starts them."""

import os

from peers import Peer


class Unprivileged(Peer):
    """Its workers are USER's if root runs the bench, and the caller's otherwise."""

    USER = "www-data"

    def is_root(self):
        """Whether there is another user to become."""
        return os.geteuid() == 0

    def write(self, name, text):
        """A file in its folder, and a folder, that its workers can read."""
        path = super().write(name, text)
        os.chmod(self.directory, 0o755)
        os.chmod(os.path.dirname(path), 0o755)
        os.chmod(path, 0o644)
        return path
