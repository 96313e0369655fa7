#!/bin/sh
# The same work as program.c, for a shell.
read -r _ && echo hello
