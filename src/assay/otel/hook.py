"""Getting a span processor into the OpenTelemetry of this process, whenever and however the agent sets that up."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_API = "opentelemetry.trace"
_SDK = "opentelemetry.sdk.trace"
_ATTRIBUTES = 2_048


class ProviderHook:
    """Adds one span processor to every tracer provider, those that exist and those still to come.

    Where the agent set no provider, one is put in place in a way that lets the agent set its own later. The agent's own
    processors and exporters stay as they are.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._is_watching = False
        self._problems: list[str] = []
        self._classes: list[Any] = []
        self._providers: list[weakref.ref[Any]] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the traces should know: why spans are missing, where else they go."""
        live = [provider for provider in (ref() for ref in self._providers) if provider is not None]
        others = [other for provider in live for other in _processors(provider) if other is not self._processor]
        if not others:
            return tuple(self._problems)
        names = ", ".join(dict.fromkeys(_described(other) for other in others))
        return (*self._problems, f"the agent's own span processors stay active: {names}")

    def install(self) -> None:
        """Add the processor where OpenTelemetry is imported already, and wait where it is not."""
        if not self._is_watching:
            self._is_watching = True
            for name in (_API, _SDK):
                if name not in sys.modules:
                    sys.meta_path.insert(0, _LateImport(name, self._hook_in))
        self._hook_in()

    def _hook_in(self) -> None:
        self._guard(self._hook_modules)

    def _guard(self, action: Callable[..., None], *args: Any) -> None:
        """Do something to OpenTelemetry; failures become notes, for they must not break the agent."""
        try:
            action(*args)
        except Exception as error:  # noqa: BLE001 - any version of OpenTelemetry may be installed, in any state
            self._note(f"OpenTelemetry could not be hooked into, spans may be missing: {type(error).__name__}: {error}")

    def _hook_modules(self) -> None:
        sdk = sys.modules.get(_SDK)
        if sdk is not None and hasattr(sdk, "TracerProvider"):
            self._hook_class(sdk.TracerProvider)
        api = sys.modules.get(_API)
        if api is not None and hasattr(api, "get_tracer_provider"):
            self._hook_provider(api)

    def _hook_class(self, provider_class: Any) -> None:
        """Make every provider that is created from now on start with the processor."""
        if provider_class in self._classes:
            return
        self._classes.append(provider_class)
        original = provider_class.__init__

        @functools.wraps(original)
        def initialize(provider: Any, *args: Any, **kwargs: Any) -> None:
            original(provider, *args, **kwargs)
            self._guard(self._add_to, provider)

        provider_class.__init__ = initialize

    def _hook_provider(self, api: Any) -> None:
        provider = api.get_tracer_provider()
        if hasattr(provider, "add_span_processor"):
            self._add_to(provider)
        elif isinstance(provider, api.ProxyTracerProvider):
            self._put_provider(api)
        else:
            self._note(
                f"the agent's tracer provider {type(provider).__name__} takes no span processors: its spans are not seen"
            )

    def _put_provider(self, api: Any) -> None:
        if not hasattr(sys.modules.get(_SDK), "SpanLimits") and _is_importing_sdk():
            # to import from a half-made SDK would break the agent's import; the provider follows once it is whole
            return
        try:
            from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        except ImportError:
            self._note(
                "the agent uses the OpenTelemetry API but opentelemetry-sdk is not installed: its spans cannot be captured"
            )
            return
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            self._note("OTEL_SDK_DISABLED is set: the agent's spans cannot be captured")
        self._hook_class(TracerProvider)
        if hasattr(api.get_tracer_provider(), "add_span_processor"):
            return

        class ForkingProvider(TracerProvider):
            """Keeps its resource when the process is copied: finding it anew takes threads and milliseconds."""

            def _handle_fork(self) -> None:
                self._tracers_lock = threading.Lock()

        limits = SpanLimits(max_span_attributes=_ATTRIBUTES)
        provider = ForkingProvider(shutdown_on_exit=False, span_limits=limits)
        if hasattr(api, "_TRACER_PROVIDER"):
            # set_tracer_provider works only once per process: that once belongs to the agent
            vars(api)["_TRACER_PROVIDER"] = provider
        else:
            api.set_tracer_provider(provider)

    def _add_to(self, provider: Any) -> None:
        if any(other is self._processor for other in _processors(provider)):
            return
        provider.add_span_processor(self._processor)
        self._providers.append(weakref.ref(provider))

    def _note(self, text: str) -> None:
        if text not in self._problems:
            self._problems.append(text)


class _LateImport(importlib.abc.MetaPathFinder):
    """Calls back right after one module was imported for the first time; finds nothing itself."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _CallingLoader(spec.loader, self._then)
        return spec


class _CallingLoader(importlib.abc.Loader):
    def __init__(self, loader: Any, then: Callable[[], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()


def _is_importing_sdk() -> bool:
    return any(
        name.startswith("opentelemetry.sdk") and getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(sys.modules.items())
    )


def _processors(provider: Any) -> tuple[Any, ...]:
    active = getattr(provider, "_active_span_processor", None)
    return tuple(getattr(active, "_span_processors", ()))


def _described(processor: Any) -> str:
    exporter = getattr(processor, "span_exporter", None)
    name = type(processor).__name__
    return name if exporter is None else f"{name}({type(exporter).__name__})"
