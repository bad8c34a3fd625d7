# SPDX-License-Identifier: BSD-3-Clause
"""What `import extmem` does, right and wrong. Run by tests/python/test_python.sh."""

import ast
import errno
import gc
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock
from pathlib import Path

import extmem

SOURCE = Path(os.environ["XM_SRCDIR"])
BUILD = Path(os.environ["XM_BUILDDIR"])
LOCAL = 1 << 20

has_numpy = importlib.util.find_spec("numpy") is not None
if has_numpy:
    import numpy
needs_numpy = unittest.skipUnless(has_numpy, "numpy is not there (Debian: python3-numpy)")


class Appliance:
    """An extmemd of this test's own."""

    def __init__(self, memory: str) -> None:
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [BUILD / "extmemd", "--listen", "ofi+tcp://127.0.0.1:0", "--memory", memory,
             "--ready-fd", str(writer), "--log-level", "error"],
            pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader) as ready:
            self.address = ready.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


appliance: Appliance


def setUpModule() -> None:
    global appliance
    appliance = Appliance("128M")
    os.environ["EXTMEM_APPLIANCE"] = appliance.address
    os.environ["EXTMEM_LOCAL"] = str(LOCAL)


def tearDownModule() -> None:
    extmem.use(None)
    gc.collect()
    appliance.kill()


def child(function) -> bytes:
    """What a function that runs in a child of fork() returns."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, function())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        ret = said.read()
    os.waitpid(pid, 0)
    return ret


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.client = extmem.open(local=LOCAL, polling="block")

    def tearDown(self) -> None:
        gc.collect()
        self.client.close()

    def refused(self, number: int, words: str, function, *arguments, **named) -> None:
        with self.assertRaises(extmem.Error) as caught:
            function(*arguments, **named)
        self.assertEqual(caught.exception.errno, number, caught.exception)
        self.assertIn(words, str(caught.exception))


class Clients(Case):
    def test_a_client_says_what_it_counts_and_whom_it_has(self) -> None:
        stats = self.client.stats()
        self.assertEqual(stats["local_limit"], LOCAL)
        self.assertEqual(len(stats["returned"]), 49)
        self.assertEqual(self.client.appliances()[0]["appliance"], appliance.address)
        self.assertEqual(self.client.lost(), "")
        self.assertIn(appliance.address, repr(self.client))

    def test_every_figure_of_the_header_is_in_a_dict(self) -> None:
        header = "".join(path.read_text() for path in sorted(SOURCE.glob("core/extmem*.h")))
        region = self.client.region(65536, "figures")
        have = {
            "stats": self.client.stats(), "info": self.client.appliances()[0],
            "status": extmem.status(appliance.address), "capabilities": extmem.capabilities(),
            "region_entry": next(r for r in self.client.regions() if r["name"] == "figures"),
        }
        for name, figures in have.items():
            body = re.search(rf"^struct extmem_{name} {{(.*?)^}};", header, re.M | re.S)[1]
            body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
            members = re.findall(r"\b(\w+)(?:\[\w+\])?(?=[,;])", body)
            self.assertGreater(len(members), 4)
            self.assertEqual(set(members) - {"size"} - set(figures), set(), name)
        region.free()

    def test_settings_have_pythons_types(self) -> None:
        with extmem.open(appliance.address, local=2 << 20, timeout=2.5, loss_timeout=1,
                         strategies={"one": "mirror 1"}, strategy="one", seal="asked") as client:
            self.assertEqual(client.stats()["local_limit"], 2 << 20)
        extmem.check(insecure_plaintext=True, local="8M")
        self.assertIn("mirror 1", extmem.strategy_read("one", strategies={"one": "mirror 1"}))
        plan = extmem.strategy_check("mirror 1", 1 << 20, appliance.address)
        self.assertEqual((plan["status"], plan["runs"][0]["appliances"]), (0, b"\0"))

    def test_wrong_settings_are_errors_in_words(self) -> None:
        self.refused(errno.EINVAL, "nonsense", extmem.open, nonsense=1)
        self.refused(errno.EINVAL, "local", extmem.check, local="much")
        self.refused(errno.ECONNREFUSED, "127.0.0.1:1", extmem.open, "ofi+tcp://127.0.0.1:1")
        self.refused(errno.EINVAL, "", extmem.strategy_read, "mirror 99")
        self.assertRaises(TypeError, extmem.open, 5, local=None)
        self.assertRaises(ValueError, extmem.open, "a\0b")

    def test_a_closed_client_refuses_and_closes_again(self) -> None:
        region = self.client.region(65536)
        self.client.close()
        self.assertTrue(self.client.closed and region.freed)
        self.refused(errno.EINVAL, "closed", self.client.stats)
        self.refused(errno.EINVAL, "closed", region.read, 0, 1)
        self.refused(errno.EINVAL, "closed", memoryview, region)
        region.free()
        self.client.close()

    def test_what_nobody_refers_to_is_given_back(self) -> None:
        with extmem.open() as client:
            region = client.region(1 << 20)
            before = client.stats()["regions"]
            del region
            self.assertEqual((before, client.stats()["regions"]), (1, 0))
        program = ("import extmem; r = extmem.default().region(1 << 20, 'left'); "
                   "v = memoryview(r); v[0] = 1")
        subprocess.run([sys.executable, "-c", program], check=True)
        self.assertNotIn("left", [one["name"] for one in self.client.regions()])


class Regions(Case):
    def test_explicit_access_and_the_mapping_agree(self) -> None:
        with self.client.region(100_000, "both", tracked=True) as region:
            self.assertEqual((region.name, region.size, len(region)), ("both", 131072, 131072))
            self.assertEqual(region.read(70_000, 4), bytes(4))
            region.write(4090, b"across a page")
            with memoryview(region) as view:
                self.assertEqual(bytes(view[4090:4103]), b"across a page")
                view[5000:5005] = b"store"
            self.assertEqual(region.read(5000, 5), b"store")
            copy = bytearray(5)
            self.assertEqual(region.readinto(4090, copy), 5)
            self.assertEqual(copy, b"acros")
            region.sync()
            region.advise("cold")
            self.assertEqual(region.read(4090, 6), b"across")
            region.advise("dontneed", 0, 4096)
            self.assertEqual(region.read(4090, 6), bytes(6))
        self.assertTrue(region.freed)

    def test_misuse_is_an_error_in_words(self) -> None:
        region = self.client.region(65536)
        self.refused(errno.ERANGE, "extmem_write", region.write, 65530, b"too long")
        self.refused(errno.ERANGE, "it has 65536", region.read, 2**63, 1)
        self.refused(errno.EINVAL, "size", self.client.region, 0)
        self.refused(errno.EINVAL, "name", self.client.region, 65536, "n" * 64)
        self.refused(errno.ENOMEM, "arena", self.client.region, 1 << 40)
        self.refused(errno.ENOSPC, "", self.client.region, 1 << 30)
        self.refused(errno.EINVAL, "seal", self.client.region, 65536, sealed=True)
        self.assertRaises(ValueError, region.advise, "please")
        self.assertRaises(ValueError, region.read, 0, -1)
        self.assertRaises(TypeError, region.write, 0, "text")
        self.assertRaises(TypeError, extmem.Region, "no client", 65536)

    def test_a_number_that_does_not_fit_is_refused(self) -> None:
        region = self.client.region(65536)
        for call in (lambda: self.client.raise_local(-1), lambda: self.client.region(2**64 + 4096),
                     lambda: region.sync(2**64), lambda: region.read(-1, 1),
                     lambda: region.write(2**70, b"x"), lambda: region.slab(-4096),
                     lambda: extmem.status(appliance.address, timeout=4294968)):
            self.assertRaises(OverflowError, call)
        region.free()

    def test_what_shrinks_is_not_shown_meanwhile(self) -> None:
        region = self.client.region(1 << 20)
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                try:
                    with memoryview(region) as view:
                        view[len(view) - 1] = 1
                except extmem.Error as error:
                    self.assertEqual(error.errno, errno.EBUSY)

        thread = threading.Thread(target=look)
        thread.start()
        for size in (1 << 16, 1 << 20) * 20:
            try:
                region.resize(size)
            except extmem.Error as error:
                self.assertEqual(error.errno, errno.EBUSY)
        done.set()
        thread.join()
        region.free()

    def test_memory_that_is_shown_is_neither_freed_nor_closed(self) -> None:
        region = self.client.region(65536)
        view = memoryview(region)
        self.refused(errno.EBUSY, "delete them first", region.free)
        self.refused(errno.EBUSY, "delete them first", self.client.close)
        region.resize(131072)
        self.refused(errno.EBUSY, "delete them first", region.resize, 65536)
        view[0] = 7
        view.release()
        region.resize(65536)
        self.assertEqual(region.read(0, 1), b"\7")
        region.free()
        self.refused(errno.EINVAL, "freed", region.sync)

    def test_a_with_statement_does_not_hide_the_first_error(self) -> None:
        with self.assertRaises(KeyError):
            with self.client.region(65536) as region:
                view = memoryview(region)
                raise KeyError
        view.release()

    def test_slabs_and_objects(self) -> None:
        region = self.client.region(1 << 20)
        messages = self.client.stats()["messages"]
        slab, thing = region.slab(8192), region.object(100, 256)
        self.assertEqual((slab.offset % 4096, thing.offset % 256, thing.size), (0, 0, 100))
        self.assertEqual(self.client.stats()["slabs"], 1)
        with memoryview(slab) as view:
            self.assertEqual(bytes(view), bytes(8192))
            view[8191] = 9
            self.refused(errno.EBUSY, "delete them first", slab.free)
            self.refused(errno.EBUSY, "delete them first", region.free)
        self.assertEqual(region.read(slab.offset + 8191, 1), b"\x09")
        slab.free()
        slab.free()
        self.refused(errno.EINVAL, "freed", memoryview, slab)
        del thing
        self.assertEqual((self.client.stats()["slabs"], self.client.stats()["objects"]), (0, 0))
        self.assertLessEqual(self.client.stats()["messages"] - messages, 1)  # a heartbeat
        self.refused(errno.ENOSPC, "", region.slab, 1 << 30)

    def test_a_sealed_region(self) -> None:
        try:
            client = extmem.open(seal="asked")
        except extmem.Error as error:
            self.skipTest(str(error))
        with client, client.region(65536, sealed=True) as region:
            region.write(0, b"secret")
            self.assertEqual(region.read(0, 6), b"secret")

    def test_a_region_goes_from_one_client_to_another(self) -> None:
        with extmem.open() as first, extmem.open() as second:
            region = first.region(1 << 20, "given")
            region.write(4096, b"bytes")
            view = memoryview(region)
            with self.assertRaises(extmem.Error) as caught:
                region.hand_over()
            self.assertEqual(caught.exception.errno, errno.EBUSY)
            view.release()
            token = region.hand_over()
            self.assertTrue(region.freed)
            with second.adopt(token) as adopted:
                self.assertEqual((adopted.name, adopted.size), ("given", 1 << 20))
                self.assertEqual(adopted.read(4096, 5), b"bytes")
                with self.assertRaises(extmem.Error) as caught:
                    first.adopt(token)
                self.assertIn(caught.exception.errno, (errno.ENOENT, errno.EBUSY))
            with self.assertRaises(extmem.Error) as caught:
                first.adopt("extmem1-0")
            self.assertEqual(caught.exception.errno, errno.EINVAL)
            with self.assertRaises(ValueError):
                second.region(1 << 16).hand_over(0)

    def test_a_region_is_read_by_others(self) -> None:
        with extmem.open() as writer, extmem.open() as reader:
            region = writer.region(1 << 20, "shared")
            with memoryview(region) as view:
                view[4096:4100] = b"then"
            token = region.share()
            seen = reader.open(token)
            self.assertEqual((seen.name, seen.size), ("shared", 1 << 20))
            with memoryview(seen) as look:
                self.assertTrue(look.readonly)
                self.assertEqual(look[4096:4100], b"then")
                with memoryview(region) as view:
                    view[4096:4100] = b"now!"
                region.release()
                seen.acquire()
                self.assertEqual(look[4096:4100], b"now!")
            self.refused(errno.EACCES, "", seen.write, 0, b"mine")
            self.refused(errno.EINVAL, "", region.acquire)
            region.revoke()
            self.refused(errno.ESTALE, "", seen.acquire)
            seen.free()
            self.refused(errno.ENOENT, "", reader.open, token)
            self.assertRaises(ValueError, region.share, 0)

    @unittest.mock.patch.dict(sys.modules, numpy=None)  # type: ignore
    def test_what_a_view_shows_is_known_without_numpy(self) -> None:
        with self.client.region(65536) as region, memoryview(region) as view:
            for part in (view[8:99], view[::-1][:9], view[4:40].cast("i"), view[9:9]):
                with part:
                    extmem.sync(part)
            with view[8::2] as gaps:
                extmem.sync(gaps)
                self.assertRaises(ValueError, extmem.pinned, gaps)
            with view[::-1][:8] as last:
                self.assertEqual(extmem._span(last, False), (region, 65528, 8))

    def test_a_region_is_copied(self) -> None:
        with extmem.open() as client:
            region = client.region(1 << 20, "first")
            region.write(4096, b"then")
            copy = region.copy("second")
            self.assertIsInstance(copy, extmem.Region)
            self.assertEqual((copy.name, copy.size), ("second", 1 << 20))
            region.write(4096, b"now!")
            self.assertEqual(copy.read(4096, 4), b"then")
            copy.write(4096, b"mine")
            self.assertEqual(region.read(4096, 4), b"now!")
            region.free()
            self.assertEqual(copy.read(4096, 4), b"mine")
            self.refused(errno.EINVAL, "freed", region.copy)

    def test_a_region_outlives_its_client(self) -> None:
        with extmem.open() as client:
            region = client.region(1 << 20)
            region.write(0, b"kept")
            token = region.keep(600)
            with self.assertRaises(extmem.Error) as caught:
                extmem.open().adopt(token)
            self.assertEqual(caught.exception.errno, errno.EBUSY)
        with extmem.open() as client:
            region = client.adopt(token, kept=True)
            self.assertEqual(region.read(0, 4), b"kept")
            self.assertEqual(region.keep(), token)
        with extmem.open() as client:
            region = client.adopt(token, kept=True)
            self.assertEqual(region.read(0, 4), b"kept")
            self.assertIsNone(region.keep(0))

    def test_an_appliance_shrinks_and_grows(self) -> None:
        whole = extmem.status(appliance.address)["pool"]
        extmem.shrink(appliance.address, whole // 2)
        self.assertEqual(extmem.status(appliance.address)["goal"], whole // 2)
        extmem.shrink(appliance.address, whole)
        with self.assertRaises(extmem.Error) as caught:
            extmem.shrink(appliance.address, 2 * whole)
        self.assertEqual(caught.exception.errno, errno.EINVAL)

    def test_the_kernel_is_given_pinned_memory(self) -> None:
        with self.client.region(2 * LOCAL) as region, tempfile.TemporaryFile() as file:
            with memoryview(region) as view:
                for at in range(0, len(view), 4096):
                    view[at] = at // 4096 % 251
                for part in extmem.pinned(view):
                    self.assertLessEqual(len(part), LOCAL)
                    file.write(part)
                file.seek(0)
                written = file.read()
                self.assertEqual(written, view)
            file.seek(0)
            for part in region.pinned(write=True):
                self.assertEqual(file.readinto(part), len(part))
            self.assertEqual(region.read(0, 1 << 20), written[:1 << 20])
        self.assertRaises(ValueError, lambda: list(extmem.pinned(bytearray(5))))


class Processes(Case):
    def test_a_child_of_fork_is_refused(self) -> None:
        region = self.client.region(65536)
        for call in (self.client.stats, self.client.close, region.free, lambda: region.read(0, 1),
                     lambda: memoryview(region)):
            self.assertIn(b"spawn", child(call))
        self.assertIn(b"exec", child(extmem.open))
        del call
        region.write(0, b"still here")
        self.assertEqual(region.read(0, 10), b"still here")

    def test_other_threads_run_while_one_waits(self) -> None:
        region = self.client.region(8 << 20)
        data, wrong = os.urandom(1 << 20), []

        def work(number: int) -> None:
            for _ in range(3):
                region.write(number << 20, data)
                if region.read(number << 20, 1 << 20) != data:
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_a_call_of_another_thread_keeps_a_region(self) -> None:
        region, data, over, wrong = self.client.region(4 << 20), bytes(4 << 20), [], []

        def work() -> None:
            while not over:
                try:
                    region.write(0, data)
                except extmem.Error as error:
                    if error.errno != errno.EINVAL:  # it is freed
                        wrong.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while True:
            try:
                region.free()
            except extmem.Error as error:
                words = str(error)
                break
            region = self.client.region(4 << 20)
        over.append(True)
        thread.join()
        self.assertIn("a call of another thread is under way", words)
        self.assertEqual(wrong, [])

    def test_signal_handlers_stay_the_programs(self) -> None:
        got = []
        before = signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
        region = self.client.region(2 * LOCAL)
        with memoryview(region) as view:
            for at in range(0, len(view), 4096):
                view[at] = 1
                if at == LOCAL:
                    os.kill(os.getpid(), signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, before)
        self.assertEqual(got, [1])
        program = ("import faulthandler, ctypes; faulthandler.enable(); import extmem; "
                   "r = extmem.default().region(1 << 20); v = memoryview(r); v[5] = 5; "
                   "ctypes.string_at(8)")
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(done.returncode, -signal.SIGSEGV, done.stderr)
        self.assertIn("Fatal Python error: Segmentation fault", done.stderr)

    def test_a_lost_appliance_is_an_error(self) -> None:
        other = Appliance("32M")
        client = extmem.open(other.address, timeout=3, loss_timeout=1)
        region = client.region(1 << 20)
        other.kill()
        with self.assertRaises(extmem.Error) as caught:
            while True:  # its interface process ends a little later
                region.read(0, 1 << 20)
        self.assertIn(caught.exception.errno, (errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT))
        del region
        self.assertRaises(extmem.Error, extmem.status, other.address, 1)
        try:
            client.close()
        except extmem.Error:
            pass


@needs_numpy
class Arrays(Case):
    def array(self, *arguments, **named):
        return extmem.array(*arguments, client=self.client, **named)

    def test_an_array_keeps_its_memory(self) -> None:
        a = self.array((3, 5), "int32", "F", name="kept")
        self.assertTrue(a.flags.f_contiguous and (a == 0).all())
        part = a[1:, ::2]
        del a
        gc.collect()
        part[...] = 8
        self.refused(errno.EBUSY, "del a", self.client.close)
        region = extmem.region_of(part)
        self.assertEqual((region.name, part.sum()), ("kept", 8 * 6))
        extmem.sync(part)
        self.assertEqual(numpy.frombuffer(region.read(0, 60), "int32").sum(), 8 * 6)
        del part, region
        self.assertEqual(self.client.stats()["regions"], 0)

    def test_shapes_and_types(self) -> None:
        self.assertEqual(self.array(7).dtype, numpy.float64)
        self.assertEqual(self.array((), "u1").shape, ())
        self.assertEqual(self.array((0, 4)).size, 0)
        record = self.array(10, [("a", "i4"), ("b", "f8")])
        record["b"] = 2.5
        self.assertEqual(record["b"].sum(), 25)
        self.assertRaises(TypeError, self.array, 5, object)
        self.assertRaises(ValueError, self.array, (2, -1))
        self.assertRaises((TypeError, ValueError), self.array, "wide")
        region = self.client.region(65536)
        self.assertRaises(ValueError, region.array, 70_000, "u1")
        self.assertEqual(region.slab(4096).array((2, 2), offset=32).sum(), 0)
        self.assertRaises(ValueError, extmem.region_of, numpy.zeros(5))

    def test_a_copy_of_an_array(self) -> None:
        source = numpy.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
        copy = self.client.from_array(source)
        self.assertTrue((copy == source).all())
        self.assertEqual(extmem.from_array([1, 2, 3], "f4", client=self.client).sum(), 6)

    def test_advice_for_an_array(self) -> None:
        a = self.array(100_000, "u1")
        a[...] = 1
        for advice in ("sequential", "random", "normal", "willneed", "cold"):
            extmem.advise(a, advice)
        self.assertEqual(a.sum(), 100_000)
        extmem.advise(a[5000:], "dontneed")
        self.assertEqual(a.sum(), 8192 + 100_000 % 4096)

    def test_what_a_view_leaves_out_is_neither_dropped_nor_pinned(self) -> None:
        a = self.array((200, 1000), "f8")
        a[...] = 1
        for view in (a[:, :500], a[::-1], a[:, 0], a.T[:500], memoryview(a)[::2]):
            with self.assertRaisesRegex(ValueError, "contiguous"):
                extmem.advise(view, "dontneed")
            with self.assertRaisesRegex(ValueError, "contiguous"):
                list(extmem.pinned(view, write=True))
            extmem.advise(view, "willneed")
            extmem.sync(view)
        del view
        self.assertEqual(a.sum(), a.size)
        extmem.advise(a.T, "dontneed")
        extmem.advise(memoryview(a[:100]), "dontneed")
        self.assertLess(a.sum(), 1000)
        self.assertEqual(sum(len(part) for part in extmem.pinned(memoryview(a[0]))), 8000)

    def test_a_product_four_times_local_is_numpys(self) -> None:
        random = numpy.random.default_rng(1)
        here = random.random((4 * LOCAL // 512, 64)), random.random((64, 64))
        a, b = (extmem.from_array(one, client=self.client) for one in here)
        c = self.array(a.shape)
        numpy.matmul(a, b, out=c)
        self.assertTrue(numpy.array_equal(c, here[0] @ here[1]))
        self.assertGreater(self.client.stats()["evictions"], 0)
        self.assertLessEqual(self.client.stats()["local_peak"], LOCAL)

    def test_a_sort_four_times_local_is_numpys(self) -> None:
        here = numpy.random.default_rng(2).integers(0, 1 << 60, 4 * LOCAL // 8)
        a = extmem.from_array(here, client=self.client)
        a.sort()
        here.sort()
        self.assertTrue(numpy.array_equal(a, here))

    def test_threads_touch_an_array(self) -> None:
        a = self.array((8, LOCAL // 16))
        threads = [threading.Thread(target=a[row].fill, args=(row,)) for row in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue((a == numpy.arange(8)[:, None]).all())

    def test_the_default_client(self) -> None:
        extmem.use(self.client)
        a = extmem.zeros(100)
        self.assertIs(extmem.region_of(a).client, self.client)
        extmem.use(None)


class Documents(unittest.TestCase):
    def test_the_stub_has_what_the_module_has(self) -> None:
        stub = ast.parse((SOURCE / "faces/python/extmem/_extmem.pyi").read_text())
        module = extmem._extmem
        public = {name for name in vars(module) if not name.startswith("__")}
        self.assertEqual(public, {
            node.name if hasattr(node, "name") else node.target.id for node in stub.body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AnnAssign))})
        for node in stub.body:
            if isinstance(node, ast.ClassDef) and node.name != "Error":
                have = {name for name in vars(getattr(module, node.name))
                        if not re.fullmatch("__(doc|new|buffer|release_buffer)__", name)}
                said = {one.name if hasattr(one, "name") else one.target.id for one in node.body}
                self.assertEqual(have, said - {"__new__"}, node.name)

    def test_the_manual_names_all_that_is_public(self) -> None:
        page = (SOURCE / "docs/man/extmem-python.7").read_text()
        for name in extmem.__all__:
            self.assertRegex(page, rf"\b{name}\b")
        for kind in (extmem.Client, extmem.Region, extmem.Slab):
            for name in dir(kind):
                if not name.startswith("_"):
                    self.assertRegex(page, rf"\b{name}\b", kind)


if __name__ == "__main__":
    done = unittest.main(exit=False, verbosity=2).result
    for _, words in done.skipped:
        print("skipped:", words)
    bad = len(done.failures) + len(done.errors)
    print(f"{done.testsRun - bad - len(done.skipped)} passed, {bad} failed")
    sys.exit(bad > 0)
