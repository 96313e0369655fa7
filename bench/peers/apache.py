"""Apache with its prefork module.

What differs from the others: there is no code that answers, the answer is a file of six bytes,
which is the least that Apache can do; the head of the answer is some 200 bytes long. There are
no modules but those that it takes to serve a file. As everywhere on Linux, Apache lets the kernel
hold a connection back until there is something to read on it (AcceptFilter).
"""

from peers.unprivileged import Unprivileged

MODULES = "/usr/lib/apache2/modules"

CONFIGURATION = """\
ServerRoot "{directory}"
ServerName localhost
DefaultRuntimeDir "{directory}"
PidFile "{directory}/pid"
ErrorLog "{directory}/error.log"
LogLevel error
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
{user}
Listen 127.0.0.1:{port}
ListenBacklog 4096
StartServers {least}
MinSpareServers {min_spare}
MaxSpareServers {max_spare}
ServerLimit {most}
MaxRequestWorkers {most}
MaxConnectionsPerChild 0
KeepAlive {keepalive}
MaxKeepAliveRequests 0
KeepAliveTimeout 60
ServerTokens Prod
FileETag None
DocumentRoot "{directory}/files"
Alias "/" "{directory}/files/hello"
<Directory />
    AllowOverride None
    Options FollowSymLinks
    Require all granted
</Directory>
"""


class Apache(Unprivileged):
    """Without an access log; `keepalive=True` keeps connections."""

    key = "apache"
    name = "Apache mpm_prefork"
    packages = ("apache2-bin",)
    program = "apache2"
    speaks = "http"

    def prepare(self):
        """The configuration, and the file that it serves."""
        self.write("files/hello", "hello\n")
        min_spare, max_spare = self.spare()
        user = f"User {self.USER}\nGroup {self.USER}" if self.is_root() else ""
        self.write("apache.conf", CONFIGURATION.format(
            directory=self.directory, modules=MODULES, user=user, port=self.port,
            least=self.least, most=self.most, min_spare=min_spare, max_spare=max_spare,
            keepalive="On" if self.options.get("keepalive") else "Off"))

    def argv(self):
        return [self.find(), "-DFOREGROUND", "-f", self.file("apache.conf")]
