# SPDX-License-Identifier: BSD-3-Clause
"""Use the memory of other machines as your own.

    import extmem

    with extmem.open("ofi+tcp://host:7470", local="64M") as client:
        a = client.array((100_000, 1_000), "float64")   # a numpy array, all zeros
        a[...] = 1.5                                    # loads and stores, as ever
        print(a.sum())
        del a                           # an array that is alive keeps its client open

The manual is extmem-python(7). numpy is needed by arrays alone.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, Sequence, Union

from . import _extmem
from ._extmem import Error, capabilities, providers

if TYPE_CHECKING:
    import numpy
    import numpy.typing

__version__: str = _extmem.version
__all__ = [
    "Client", "Error", "Object", "Region", "Slab", "advise", "array", "capabilities", "check",
    "default", "drain", "from_array", "open", "pinned", "providers", "region_of", "shrink",
    "status",
    "strategy_check", "strategy_read", "sync", "use", "zeros",
]

Setting = Union[str, int, float, bool, Sequence[str]]
Shape = Union[int, Sequence[int]]

_ADVICE = ("normal", "sequential", "random", "willneed", "dontneed", "cold")
_PAGE = 4096
_FOR_EVER = 2**64 - 1


def _texts(
    appliances: Iterable[str], strategies: Mapping[str, str], settings: Mapping[str, Setting]
) -> list[str]:
    """Settings as the library takes them: "name=value"."""
    ret = [f"appliance={address}" for address in appliances]
    ret += [f"strategy.{name}={text}" for name, text in strategies.items()]
    for name, value in settings.items():
        if isinstance(value, bool):
            ret.append(f"{name}={'yes' if value else 'no'}")
        elif isinstance(value, float) or (isinstance(value, int) and name.endswith("timeout")):
            ret.append(f"{name}={round(value * 1000)}ms")
        elif isinstance(value, (str, int)):
            ret.append(f"{name}={value}")
        else:
            ret += [f"{name}={one}" for one in value]
    return ret


def check(*appliances: str, strategies: Mapping[str, str] = {}, **settings: Setting) -> None:
    """Raises what open() would find wrong with these settings by itself."""
    _extmem.check(_texts(appliances, strategies, settings))


def _ms(seconds: float) -> int:
    """Of a time that may be math.inf; what is not 0 stays so."""
    if not seconds >= 0:
        raise ValueError(f"a time of {seconds} s")
    return min(math.ceil(seconds * 1000), _FOR_EVER) if seconds < math.inf else _FOR_EVER


class Region(_extmem.Region):
    """Memory at appliances, which reads as zero at first.

    It has the buffer protocol: memoryview(region), or array(), show it at addresses. While one
    of these is alive, free() refuses. It is given back when it is freed, when nothing refers to
    it any more, or when its client is closed.
    """

    def __enter__(self) -> Region:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _end(self.free, kind is not None)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        if self.freed:
            return "<extmem.Region: freed>"
        return f"<extmem.Region {self.name!r}: {self.size} bytes>"

    def array(
        self, shape: Shape, dtype: numpy.typing.DTypeLike = float, order: str = "C",
        offset: int = 0,
    ) -> numpy.ndarray[Any, Any]:
        """A numpy array over the region's bytes from `offset` on, as they are."""
        return _array(self, shape, dtype, order, offset)

    def slab(self, size: int) -> Slab:
        """A part of whole pages, which reads as zero."""
        return Slab(self, size)

    def object(self, size: int, alignment: int = 0) -> Object:
        """A small part, whose contents are unspecified."""
        return Object(self, size, alignment)

    def advise(self, advice: str, offset: int = 0, size: int = 0) -> None:
        """Says how pages will be used: "normal", "sequential", "random", "willneed",
        "dontneed" (they read as zero then), "cold"."""
        if advice not in _ADVICE:
            raise ValueError(f"no advice {advice!r}: there are {', '.join(_ADVICE)}")
        self._advise(offset, size, _ADVICE.index(advice))

    def hand_over(self, seconds: float = 60, *, identity: str | None = None) -> str:
        """Parts with the region, and returns its token: whoever has it within this time
        (math.inf: as long as the appliances run) gets the region, with its bytes, by
        Client.adopt(). It is freed here. Refuses while an array or a view shows it. `identity`:
        who alone may adopt it."""
        if not seconds > 0:
            raise ValueError("nobody can adopt it within no time")
        return self._hand_over(_ms(seconds), identity)

    def copy(self, name: str = "") -> Region:
        """A region with the bytes that this one has now. The appliances copy them, while both
        can be used; a part that is not copied yet keeps who stores to it waiting."""
        return self._copy(name)

    def keep(self, seconds: float = math.inf) -> str | None:
        """Lets the region outlive its client, for this time, and returns its token. What was
        written back is there then: call sync(). With 0 it is not kept any more."""
        return self._keep(_ms(seconds))

    def share(self, seconds: float = 60, *, identity: str | None = None) -> str:
        """Lets other clients read the region, and returns the token by which they do so, within
        this time (math.inf: as long as it is shared), with Client.open(). They have what was
        stored before the last release(). `identity`: who alone may read it."""
        if not seconds > 0:
            raise ValueError("nobody can come within no time")
        return self._share(_ms(seconds), identity)

    def pinned(self, offset: int = 0, size: int = 0, write: bool = False) -> Iterator[memoryview]:
        """As the function pinned(), for bytes of the region; size 0 means up to its end."""
        with memoryview(self) as whole:  # type: ignore[arg-type]
            end = offset + size if size > 0 else len(whole)
            with whole[offset:end] as view:
                yield from _pins(self.client, view, write)


class _Part(_extmem.Part):
    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _end(self.free, kind is not None)

    def __len__(self) -> int:
        return self.size

    def array(
        self, shape: Shape, dtype: numpy.typing.DTypeLike = float, order: str = "C",
        offset: int = 0,
    ) -> numpy.ndarray[Any, Any]:
        """A numpy array over its bytes from `offset` on."""
        return _array(self, shape, dtype, order, offset)


class Slab(_Part):
    """A part of a region, of whole pages, which the client selects without a message."""

    def __new__(cls, region: _extmem.Region, size: int) -> Slab:
        return super().__new__(cls, region, size)


class Object(_Part):
    """A small part of a region, which the client selects without a message."""

    def __new__(cls, region: _extmem.Region, size: int, alignment: int = 0) -> Object:
        return super().__new__(cls, region, size, alignment, False)


class Client(_extmem.Client):
    """A client of appliances; open() makes one."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _end(self.close, kind is not None)

    def __repr__(self) -> str:
        if self.closed:
            return "<extmem.Client: closed>"
        return f"<extmem.Client of {', '.join(one['appliance'] for one in self.appliances())}>"

    def region(
        self, size: int, name: str | None = None, *, strategy: str | None = None,
        sealed: bool = False, tracked: bool = False,
    ) -> Region:
        """Allocates a region. `sealed` needs the setting seal="asked" or "all"."""
        return Region(self, size, name, strategy, tracked, sealed)

    def adopt(self, token: str, *, kept: bool = False) -> Region:
        """The region that waits under a token, with its bytes. `kept`: it goes on outliving its
        client, under the same token."""
        return Region(self, 0, token=token, kept=kept)

    def open(self, token: str) -> Region:
        """A region of another client's to be read, by the token of its share(). Arrays over it
        are read-only; acquire() shows what its writer has released since."""
        return Region(self, 0, token=token, reads=True)

    def array(
        self, shape: Shape, dtype: numpy.typing.DTypeLike = float, order: str = "C", *,
        name: str | None = None, strategy: str | None = None, sealed: bool = False,
    ) -> numpy.ndarray[Any, Any]:
        """A numpy array of zeros in a region of its own, which lives as long as the array."""
        import numpy

        size = _size(shape) * numpy.dtype(dtype).itemsize
        if size == 0:
            return numpy.zeros(shape, dtype, order)  # type: ignore
        _plain(numpy.dtype(dtype))
        return self.region(size, name, strategy=strategy, sealed=sealed).array(shape, dtype, order)

    zeros = array

    def from_array(
        self, source: numpy.typing.ArrayLike, dtype: numpy.typing.DTypeLike = None, *,
        name: str | None = None, strategy: str | None = None, sealed: bool = False,
    ) -> numpy.ndarray[Any, Any]:
        """A copy of an array in a region of its own."""
        import numpy

        source = numpy.asarray(source, dtype)
        order = "F" if source.flags.fnc else "C"
        ret = self.array(source.shape, source.dtype, order, name=name, strategy=strategy,
                         sealed=sealed)
        ret[...] = source
        return ret

    def raise_local(self, size: int) -> None:
        """Raises the limit of local memory, up to the setting local_max."""
        self._raise_local(size)


def open(*appliances: str, strategies: Mapping[str, str] = {}, **settings: Setting) -> Client:
    """Opens a client of the appliances at these addresses, as extmem_open(3) does.

    Settings are those of extmem(5): local="64M", timeout=30, strategy="mirror 2",
    seal="all", auth="client.pem". A number is bytes, or seconds for a time; True is yes.
    strategies={"safe": "mirror 2"} stores strategies under names. Without addresses,
    EXTMEM_APPLIANCE or the configuration file has them.
    """
    return Client(_texts(appliances, strategies, settings))


def _end(end: Any, failing: bool) -> None:
    """Ends what a with statement has; an exception on its way, whose frames may show the
    memory, is not hidden behind a refusal."""
    try:
        end()
    except Error:
        if not failing:
            raise


# --- the client of functions that are not told one --------------------------------------

_default: Client | None = None


def default() -> Client:
    """The client of array() and others: the one of use(), or one that is opened with the
    settings of the environment, as EXTMEM_APPLIANCE and EXTMEM_LOCAL."""
    global _default
    if _default is None or _default.closed:
        _default = open()
    return _default


def use(client: Client | None) -> None:
    """Makes a client the default one."""
    global _default
    _default = client


# A client belongs to the process that opened it.
os.register_at_fork(after_in_child=lambda: use(None))


def array(
    shape: Shape, dtype: numpy.typing.DTypeLike = float, order: str = "C", *,
    client: Client | None = None, name: str | None = None, strategy: str | None = None,
    sealed: bool = False,
) -> numpy.ndarray[Any, Any]:
    """A numpy array of zeros in external memory, in a region of its own."""
    return (client or default()).array(shape, dtype, order, name=name, strategy=strategy,
                                       sealed=sealed)


zeros = array


def from_array(
    source: numpy.typing.ArrayLike, dtype: numpy.typing.DTypeLike = None, *,
    client: Client | None = None, name: str | None = None, strategy: str | None = None,
    sealed: bool = False,
) -> numpy.ndarray[Any, Any]:
    """A copy of an array in external memory."""
    return (client or default()).from_array(source, dtype, name=name, strategy=strategy,
                                            sealed=sealed)


def _size(shape: Shape) -> int:
    sizes = [shape] if isinstance(shape, int) else [int(one) for one in shape]
    if any(one < 0 for one in sizes):
        raise ValueError(f"the shape {shape} has a negative size")
    return math.prod(sizes)


def _plain(dtype: numpy.dtype[Any]) -> None:
    if dtype.hasobject:
        raise TypeError(f"arrays of {dtype} have pointers to Python's objects, which cannot be "
                        "in external memory: choose a type of numbers or bytes")


def _array(
    buffer: Any, shape: Shape, dtype: numpy.typing.DTypeLike, order: str, offset: int
) -> numpy.ndarray[Any, Any]:
    import numpy

    _plain(numpy.dtype(dtype))
    # frombuffer() keeps the buffer exported; numpy.ndarray(buffer=) would let it go.
    flat = numpy.frombuffer(buffer, dtype, _size(shape), offset)
    return flat.reshape(shape, order=order)  # type: ignore


# --- what an array or a view shows ---------------------------------------------------------

def region_of(shown: Any) -> Region:
    """The region that an array or a memoryview shows memory of."""
    seen = shown
    while seen is not None:
        if isinstance(seen, Region):
            return seen
        if isinstance(seen, _Part):
            seen = seen.region
        elif isinstance(seen, memoryview):
            seen = seen.obj
        else:
            seen = getattr(seen, "base", None)
    raise ValueError(f"a {type(shown).__name__} that shows no region: a copy, perhaps?")


def _span(shown: Any, whole: bool) -> tuple[Region, int, int]:
    """Region, offset and size of the bytes between the first and the last that are shown.
    `whole`: all of them must be."""
    region = region_of(shown)
    if isinstance(shown, (Region, _Part)):
        return region, getattr(shown, "offset", 0), shown.size
    if isinstance(shown, memoryview):
        first, size, contiguous = _extmem.bounds(shown)
    else:
        import numpy

        array = numpy.asarray(shown)
        low, high = getattr(numpy.lib, "array_utils", numpy).byte_bounds(array)
        first, size, contiguous = low, high - low, array.flags.forc
    if whole and not contiguous:
        raise ValueError("this array or view leaves out some of the bytes between its first and "
                         "its last, and they would be taken too: give it in contiguous parts, "
                         "row by row for example")
    return region, first - region.address, size


def sync(shown: Any) -> None:
    """Returns when the appliances have every store to what an array, a view or a region
    shows."""
    region, offset, size = _span(shown, False)
    if size > 0:
        region.sync(offset, size)


def advise(shown: Any, advice: str) -> None:
    """As Region.advise(), for the pages of an array, a view or a region. "dontneed", which
    drops contents, takes only pages that it shows all of, and no view that leaves out some."""
    region, offset, size = _span(shown, advice == "dontneed")
    end = offset + size
    if advice == "dontneed":
        offset, end = -(-offset // _PAGE) * _PAGE, end // _PAGE * _PAGE
    else:
        offset, end = offset // _PAGE * _PAGE, -(-end // _PAGE) * _PAGE
    if end > offset:
        region.advise(advice, offset, end - offset)


def pinned(shown: Any, write: bool = False) -> Iterator[memoryview]:
    """Brings what an array or a view shows into local memory, one part after the other, so
    that the kernel can use it:

        for part in extmem.pinned(a):
            file.write(part)

    At most half of the local memory is pinned at once. `write`: the kernel is to store there,
    as file.readinto(part) does. Where Client.appliances() says kernel_touches, no pin is
    needed. A view that leaves out some bytes is refused.
    """
    region, offset, size = _span(shown, True)
    return region.pinned(offset, size, write) if size > 0 else iter(())


def _pins(client: _extmem.Client, view: memoryview, write: bool) -> Iterator[memoryview]:
    at = 0
    while at < len(view):
        size = client._pin(view, at, write)
        try:
            with view[at:at + size] as part:
                yield part
        finally:
            client._unpin(view, at, size)
        at += size


# --- appliances and strategies ----------------------------------------------------------------

def status(appliance: str, timeout: float = 10.0) -> dict[str, Any]:
    """Asks an appliance for its figures, without becoming its client."""
    return _extmem.status(appliance, round(timeout * 1000))


def drain(appliance: str, on: bool = True, timeout: float = 10.0) -> None:
    """Tells an appliance to lend nothing more and its clients to move away; or to lend again."""
    _extmem.drain(appliance, on, round(timeout * 1000))


def shrink(appliance: str, size: int, timeout: float = 10.0) -> None:
    """Tells an appliance how many bytes it is to have: it gives what is free beyond them to its
    host, and its clients move what they have there; or it grows again."""
    _extmem.shrink(appliance, size, round(timeout * 1000))


def strategy_read(
    strategy: str | None = None, *, strategies: Mapping[str, str] = {}, **settings: Setting
) -> str:
    """What a strategy, or the name of a stored one, means, written in one way."""
    return _extmem.strategy_read(_texts((), strategies, settings), strategy)


def strategy_check(
    strategy: str | None, size: int, *appliances: str, strategies: Mapping[str, str] = {},
    **settings: Setting,
) -> dict[str, Any]:
    """Where a region of `size` bytes would go now, and why not elsewhere."""
    return _extmem.strategy_check(_texts(appliances, strategies, settings), strategy, size)
