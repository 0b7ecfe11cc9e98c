"""Kernel tests: skipped with a reason where eBPF does not work, and never silently where it does.

Generated examples have no deadline: how fast a test runs says more of the machine than of the code.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

from tests.support.kernel import why_no_ebpf

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_no_ebpf() if any(i.get_closest_marker("kernel") for i in items) else None
    if reason:
        for item in items:
            if item.get_closest_marker("kernel"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("kernel") and not why_no_ebpf():
        report.outcome = "failed"
        report.longrepr = f"eBPF works here, so this kernel test must not skip: {report.longrepr}"
    return report
