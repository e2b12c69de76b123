"""Differential test: the same random operations on FLASH.X and on native X, replies compared.

core      sides, operations, the runner, minimising
generator keys, values, arguments: everything random, from one seed
strings   the table of FLASH string commands; hashes, lists and zsets are files like it
generic   commands for keys of any type, DUMP and RESTORE, whole-database commands, demotion
blocks    MULTI, WATCH, Lua, pipelines, two clients at once: commands of the tables put together
rules     the differences that the contract lists, each asserted

Run it:  /usr/bin/python3 tests/integration/differential --seed 7 --ops 100000
"""
