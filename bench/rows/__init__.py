"""The rows. Each is a module with

    run(bench)        which measures, and hands in what it found
    STEADY = True     if what it counts does not depend on the speed of the machine
    QUICK = True      if `quick` has it as well

whose name is the name of the row and whose first line says what it asks."""

import importlib
import pkgutil

ORDER = ("peers", "cost", "wakeups", "memory", "rate", "keepalive", "tail", "burst", "scale",
         "growth", "programs", "udp", "tls", "access", "storm", "reload")

ROWS = {module.name: importlib.import_module(f"{__name__}.{module.name}")
        for module in sorted(pkgutil.iter_modules(__path__),
                             key=lambda module: ORDER.index(module.name))}
