"""What the rules of access cost a connection that none of them names."""

import subprocess


def run(bench, blocks=1000, patterns=100, rounds=200):
    """The verdict alone, without a server around it."""
    out = subprocess.run([bench.path("access"), str(blocks), str(patterns), str(rounds)],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    plain, named = (int(word) / 1000 for word in out.split())
    what = f"CPU of a verdict over {blocks} blocks and {patterns} patterns"
    bench.value("access", what, plain, "us", ("<=", 5))
    bench.value("access", f"{what}, with a name to match as well", named, "us", ("<=", 5))
