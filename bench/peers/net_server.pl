#!/usr/bin/perl
# The same work on Net::Server::PreFork: net_server.pl PORT WORKERS.
use strict;
use warnings;
use base 'Net::Server::PreFork';

my ($port, $workers) = @ARGV;

sub process_request {
    my $line = <STDIN>;
    print "version 00000000 says hello\n" if defined $line;
}

__PACKAGE__->run(
    host => '127.0.0.1', port => $port, ipv => 4, log_level => 0, listen => 4096,
    min_servers => $workers, max_servers => 2 * $workers,
    min_spare_servers => 2, max_spare_servers => $workers,
    max_requests => 1_000_000,
);
