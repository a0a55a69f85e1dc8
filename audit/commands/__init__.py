"""The commands, one module a topic. Each parses, calls one function and prints.

What they call is imported inside them, so that `audit --help` is quick and commands that need no torch never
load it.
"""
