"""Options that the programs have in common which storm a server for a while."""

import argparse
import time


def storm_options(doc, clients):
    """Parses the command line; `doc` is the program's, `clients` how many by default."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=clients)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--native", action="store_true", help="native commands only")
    return parser.parse_args()
