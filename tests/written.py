"""What is no number and no moment, wherever one is read: API, command line, files, environment."""

from __future__ import annotations

__all__ = ["NO_MOMENTS", "NO_NUMBERS", "NO_WHOLES"]

NO_NUMBERS = (
    "", " ", "nan", "NaN", "-nan", "sNaN", "nan123", "inf", "-Infinity", "infinity", "1_000", "1_0.5", " 5", "5 ",
    "5\n", "\u00a05", "\u0661\u0662", "\uff11\uff12", "\u0967", "\u00b2", "\u22125", "0x10", "1,5", "1 000", "1'000",
    "--1", "+-1", ".", "1e", "e5", "1e5.5", "a", "true", "None", "1.2.3", "5%", "1e999999999999999999999999",
)  # fmt: skip
NO_WHOLES = (*NO_NUMBERS, "1.0", "1.", "1e3", "9" * 20)
NO_MOMENTS = (
    *NO_NUMBERS, "1e400", "-1e11", "100000000000", "yesterday", "now", "2026-11-21", "2026-11-21T00:00:00",
    "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z", "9999-01-01T00:00:00Z", "\u0662\u0660\u0662\u0666-11-21T00:00:00Z",
)  # fmt: skip
