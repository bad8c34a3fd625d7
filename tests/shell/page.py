#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# usage: page.py BROWSER URL TOKEN NAME [FOLDER]: does with the gateway's page what an
# operator does: looks, drains the appliance NAME with a wrong token and then TOKEN, and
# lets it lend again. With FOLDER, pictures of it are put there. The browser is Chromium,
# told what to do over its pipe (--remote-debugging-pipe).
import base64
import json
import os
import subprocess
import sys
import tempfile
import time


class Browser:
    def __init__(self, program, folder):
        there, self.out = os.pipe()
        self.back, back_there = os.pipe()

        def arrange():  # its descriptors are 3 and 4
            a, b = os.dup(there), os.dup(back_there)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--remote-debugging-pipe",
             "--window-size=1240,1000", f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there)
        os.close(back_there)
        self.number, self.rest, self.session = 0, b"", None

    def receive(self):
        while b"\0" not in self.rest:
            piece = os.read(self.back, 65536)
            if not piece:
                raise RuntimeError("the browser has ended")
            self.rest += piece
        line, self.rest = self.rest.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url):
        target = self.call("Target.createTarget", url=url)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        self.call("Page.enable")

    def run(self, code):
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{code}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def key(self, name, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                      windowsVirtualKeyCode=code)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


def until(what, browser, code):
    for _ in range(600):
        if browser.run(code):
            print(f"passed {what}")
            return
        time.sleep(0.1)
    raise RuntimeError(f"{what}: never: {browser.run('document.body.innerText')}")


def operate(b, token, name, pictures):
    def picture(which):
        if pictures:
            b.picture(os.path.join(pictures, f"{which}.png"))

    row = (f"[...document.querySelectorAll('#appliances tr')].find((r) => "
           f"r.firstChild.firstChild.textContent === '{name}')")
    until("the page shows the appliance", b,
          f"document.readyState === 'complete' && !!{row}")
    until("and that it is up", b, f"{row}.innerText.includes('up')")
    picture("rest")
    b.run(f"{row}.querySelector('button').click()")
    until("an act asks first", b, "document.getElementById('ask').open")
    picture("asks")
    b.run("document.getElementById('token').value = 'wrong-0123456789abcdef'")
    b.run("document.getElementById('ask-yes').click()")
    until("a wrong token is refused in words", b,
          "document.getElementById('ask-wrong').innerText.includes('not known')")
    picture("refused")
    b.key("Escape", 27)
    until("Escape leaves it", b, "!document.getElementById('ask').open")
    b.run(f"{row}.querySelector('button').click()")
    b.run(f"document.getElementById('token').value = '{token}'")
    b.run("document.getElementById('ask-yes').click()")
    until("with a token it drains", b, f"{row}.innerText.includes('draining')")
    picture("draining")
    b.run(f"{row}.querySelector('button').click()")
    until("and the token is not asked for again", b,
          "document.getElementById('token-label').hidden")
    b.run("document.getElementById('ask-yes').click()")
    until("and it lends again", b, f"{row}.innerText.includes('● up')")


def main():
    program, url, token, name = sys.argv[1:5]
    pictures = sys.argv[5] if len(sys.argv) > 5 and sys.argv[5] else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            browser.open(url)
            operate(browser, token, name, pictures)
        finally:
            browser.process.kill()
            browser.process.wait()


main()
