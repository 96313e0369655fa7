#!/usr/bin/perl
# The same work as program.c, for Perl.
print "hello\n" if defined <STDIN>;
