"""Prints `passed skipped failed` of one JUnit report, as ctest and pytest write them.

For ctest one binary is one test; what GoogleTest or unittest print inside says how many it was.
Usage: junit_counts.py <report.xml>
"""

import re
import sys
import xml.etree.ElementTree as tree

INSIDE = re.compile(r"\[  PASSED  \] (\d+) test|^Ran (\d+) tests?", re.MULTILINE)


def counts(root):
    total = skipped = failed = 0
    for suite in [root] if root.tag == "testsuite" else root.iter("testsuite"):
        total += int(suite.get("tests", 0))
        skipped += int(suite.get("skipped", 0)) + int(suite.get("disabled", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        for case in suite.iter("testcase"):
            inside = INSIDE.search(case.findtext("system-out") or "")
            if inside and case.get("status") == "run":
                total += int(inside.group(1) or inside.group(2)) - 1
    return total - skipped - failed, skipped, failed


if __name__ == "__main__":
    print(*counts(tree.parse(sys.argv[1]).getroot()))
