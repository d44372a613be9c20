#!/usr/bin/env python3
"""Sums the JUnit results in the files given and prints "N passed, N failed".

A test program of cmocka counts as its cases; one that failed without saying how many
(it crashed, or ran out of time) counts as one failure. Exits 1 when anything failed or
nothing passed.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

CASES = re.compile(r"\[\s+(PASSED|FAILED|SKIPPED)\s+\] (\d+) test\(s\)")


def count_case(case):
    """(passed, failed, skipped) of one <testcase>."""
    went_wrong = case.find("failure") is not None or case.find("error") is not None
    if not went_wrong and case.find("skipped") is not None:
        return 0, 0, 1
    counts = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for word, number in CASES.findall(case.findtext("system-out") or ""):
        counts[word] += int(number)
    passed, failed, skipped = counts["PASSED"], counts["FAILED"], counts["SKIPPED"]
    if went_wrong and failed == 0:
        failed = 1
    if not went_wrong and passed + failed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def main(paths):
    total = [0, 0, 0]
    for path in paths:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            total = [sum(pair) for pair in zip(total, count_case(case))]
    passed, failed, skipped = total
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
