# The same work as a PSGI application, for Starman.
sub { [200, ['Content-Type' => 'text/plain'], ["version 00000000 says hello\n"]] }
