"""The settings themselves: every key, its default and its range.

Frozen. Directories have no default here: `directories` finds them from what systemd or the session gives.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from weltklassebot.core.parameters import Parameters, symbols_error
from weltklassebot.settings.access import Auth, Sources, UserSettings
from weltklassebot.settings.directories import ADMIN_SOCKET
from weltklassebot.settings.keys import private_key
from weltklassebot.settings.risk import AccountSettings, Risk, SymbolSettings, VenueSettings, parameters_of
from weltklassebot.settings.secrets import bearer, https, secret
from weltklassebot.settings.sources import ENV_PREFIX, quoted
from weltklassebot.settings.validators import validated
from weltklassebot.settings.values import choice, directory, number, optional, text, whole

__all__ = ["Auth", "Journal", "Runtime", "Settings"]

_MAX_SOCKET_PATH = 107  # bytes that the kernel takes for a unix socket's path
_LONGEST_SOCKET = "orders.sock"


def _host(value: Any) -> str:
    name: str = text(r"[A-Za-z0-9.:_-]{1,253}", "must be an address or the name of a host")(value)
    if re.fullmatch(r"[0-9.]+|.*:.*", name):
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise ValueError("must be an address or the name of a host") from None
    return name


class Runtime(BaseModel):
    """Bounds and timing of the daemon's shell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pending: Annotated[int, validated(whole(1, 1_000_000))] = 20_000
    """Commands that wait for the disk at most; over it the answer is a denial."""
    mark_interval_ms: Annotated[float, validated(number(0.0, 60_000.0))] = 100.0
    max_connections: Annotated[int, validated(whole(1, 100_000))] = 1_000
    request_timeout_seconds: Annotated[float, validated(number(0.0, 600.0, above=True))] = 10.0
    """For a request to arrive whole, and for its answer to be taken."""
    keepalive_seconds: Annotated[float, validated(number(0.0, 3_600.0, above=True))] = 75.0
    redelivery_seconds: Annotated[float, validated(number(0.0, 3_600.0, above=True))] = 5.0
    shutdown_timeout_seconds: Annotated[float, validated(number(0.0, 600.0, above=True))] = 8.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], validated(choice("debug", "info", "warning", "error"))
    ] = "info"
    log_format: Annotated[Literal["json", "console"], validated(choice("json", "console"))] = "json"


class Journal(BaseModel):
    """When the journal's live file is closed, and what becomes of closed ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment_bytes: Annotated[int, validated(whole(1, 1024**3))] = 64 * 1024**2
    segment_records: Annotated[int, validated(whole(1, 100_000_000))] = 50_000
    """Whichever comes first. What no snapshot stands for yet is folded at a start."""
    keep_days: Annotated[float | None, validated(optional(number(0.0, 36_500.0), "all"))] = None
    """Closed files whose records are all older are deleted; None: none."""
    max_bytes: Annotated[int | None, validated(optional(whole(1, 10**17), "unlimited"))] = None
    """Of closed files together; over it the oldest are deleted, whatever their age. None: unlimited."""
    scrub_hours: Annotated[float, validated(number(0.0, 8_760.0))] = 24.0
    """Between two looks at the whole journal; 0 for none."""
    stall_seconds: Annotated[float, validated(number(0.0, 3_600.0, above=True))] = 2.0
    """A write that takes longer: new orders are denied until it is done."""
    stall_fail_seconds: Annotated[float, validated(number(0.0, 2_592_000.0, above=True))] = 30.0
    """A write that takes longer has failed."""
    probe_seconds: Annotated[float, validated(number(0.0, 3_600.0, above=True))] = 5.0
    """Between two looks whether a disk that could not be written has room again."""
    checkpoint_records: Annotated[int, validated(whole(1, 100_000_000))] = 10_000
    checkpoint_minutes: Annotated[float, validated(number(0.0, 1_440.0, above=True))] = 5.0
    """Whichever comes first, if there is a new record; and at each stop."""
    checkpoint_secret: Annotated[SecretStr | None, validated(optional(secret(private_key), "none"))] = None
    """Signs them. None: they are in the log, and nowhere else."""
    checkpoint_url: Annotated[SecretStr | None, validated(optional(secret(https), "none"))] = None
    """Signed ones are posted there too."""
    checkpoint_token: Annotated[SecretStr | None, validated(optional(secret(bearer), "none"))] = None
    """What is said there to be let in."""


class Settings(BaseSettings):
    """All of it. Made by `load` alone, which brings the sources together."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__")

    host: Annotated[str, validated(_host)] = "127.0.0.1"
    metrics_port: Annotated[int, validated(whole(0, 65_535))] = 9000
    runtime_dir: Annotated[Path, validated(directory())]
    state_dir: Annotated[Path, validated(directory())]
    risk_store_dir: Annotated[Path, validated(directory())]
    snapshot_dir: Annotated[Path, validated(directory())]
    risk: Risk = Risk()
    symbols: SymbolSettings = {}
    accounts: AccountSettings = {}
    venues: VenueSettings = {}
    runtime: Runtime = Runtime()
    journal: Journal = Journal()
    auth: Auth = Auth()
    users: UserSettings = {}
    marks: Sources = Sources()
    equity: Sources = Sources()

    def expired(self, now: float) -> list[str]:
        """The instruments that are no more, `now` in Unix seconds."""
        moments = {name: instrument.expiry for name, instrument in self.parameters().symbols.items()}
        return [name for name, said in moments.items() if said and datetime.fromisoformat(said).timestamp() <= now]

    @property
    def admin_socket(self) -> Path:
        return self.runtime_dir / ADMIN_SOCKET

    @property
    def orders_socket(self) -> Path:
        return self.runtime_dir / "orders.sock"

    @property
    def tokens_file(self) -> Path:
        return self.state_dir / "tokens.json"

    @property
    def checkpoints_file(self) -> Path:
        return self.state_dir / "checkpoints.jsonl"

    def parameters(self) -> Parameters:
        """What the core is told: limits, policy, instruments, bounds."""
        return parameters_of(self.risk, self.symbols, self.venues, self.accounts)

    @classmethod
    def settings_customise_sources(  # pydantic passes all five, by name
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over: the process's environment is never read behind its back."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.risk.max_remembered_per_strategy > self.risk.max_remembered:  # type: ignore[attr-defined]
            raise _misfit("risk.max_remembered_per_strategy", "must not be above risk.max_remembered")
        if self.journal.stall_fail_seconds < self.journal.stall_seconds:
            raise _misfit("journal.stall_fail_seconds", "must not be below journal.stall_seconds")
        if self.auth.trade_group == self.auth.admin_group:
            raise _misfit("auth.admin_group", "must not be auth.trade_group: whoever trades would be an operator")
        if (found := symbols_error(self.parameters().symbols)) is not None:
            raise _misfit(f"symbols.{quoted(found[0])}.{found[1]}", found[2])
        if len(str(self.runtime_dir / _LONGEST_SOCKET).encode()) > _MAX_SOCKET_PATH:
            raise _misfit("runtime_dir", f"is too long: {_LONGEST_SOCKET} in it would exceed {_MAX_SOCKET_PATH} bytes")
        return self


def _misfit(key: str, what: str) -> PydanticCustomError:
    return PydanticCustomError("misfit", "{what}", {"key": key, "what": what})
