"""Marks of pytest that several modules use."""

from __future__ import annotations

import pytest

# Python 3.12 warns of forks in a process with threads, and rendering has one.
may_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
