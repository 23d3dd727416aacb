"""A client of the real yaml-language-server, over LSP on stdio: it opens texts and asks for what an editor asks for."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 30.0


class Server:
    """One running server; `root` is the folder that it believes to be the workspace."""

    def __init__(self, command: list[str], root: Path) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._answers: dict[int, Any] = {}
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        self._heard: queue.Queue[None] = queue.Queue()
        self._number = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        self._ask(
            "initialize",
            {
                "processId": None, "rootUri": root.as_uri(), "capabilities": {
                    "textDocument": {"completion": {"completionItem": {"documentationFormat": ["plaintext"]}}, "hover": {}},
                    "workspace": {"configuration": True},
                },
            },
        )  # fmt: skip
        self._tell("initialized", {})

    def close(self) -> None:
        """The server has ended."""
        self._process.kill()
        self._process.wait()

    # --- what an editor asks ------------------------------------------------------------------------------------------

    def open(self, path: Path, text: str) -> str:
        """The text is open as if it stood in that folder, in a file that was never open before; its address."""
        self._number += 1
        uri = path.with_name(f"{self._number}-{path.name}").as_uri()
        self._tell(
            "textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}}
        )
        return uri

    def diagnostics(self, path: Path, text: str) -> list[str]:
        """What is marked in the text, as `LINE: message`."""
        uri = self.open(path, text)
        self._until(lambda: uri in self._diagnostics, "no diagnostics came")
        return [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in self._diagnostics[uri]]

    def completions(self, path: Path, text: str) -> list[str]:
        """What is offered where `|` stands in the text."""
        found = self._at("textDocument/completion", path, text)
        return [str(one["label"]) for one in (found["items"] if isinstance(found, dict) else found or [])]

    def hover(self, path: Path, text: str) -> str:
        """What is shown where `|` stands in the text."""
        found = self._at("textDocument/hover", path, text)
        said = found["contents"] if found else ""
        return str(said["value"] if isinstance(said, dict) else said)

    def _at(self, method: str, path: Path, text: str) -> Any:
        before, _, after = text.partition("|")
        uri = self.open(path, before + after)
        line, column = before.count("\n"), len(before.rpartition("\n")[2])
        return self._ask(method, {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}})

    # --- the wire -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while True:
            length = 0
            while (line := self._process.stdout.readline()).strip():
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
            if not length:
                return
            self._take(json.loads(self._process.stdout.read(length)))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:  # it asks us: for its settings, mostly
            asked = message.get("params") or {}
            result: Any = [_SETTINGS.get(one.get("section"), {}) for one in asked.get("items", [])] or None
            self._send({"id": message["id"], "result": result})
        elif "id" in message:
            self._answers[message["id"]] = message
        self._heard.put(None)

    def _ask(self, method: str, parameters: Any) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        self._until(lambda: number in self._answers, f"{method} was not answered")
        answer = self._answers.pop(number)
        assert "error" not in answer, answer["error"]
        return answer.get("result")

    def _tell(self, method: str, parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._process.stdin.flush()

    def _until(self, condition: Any, why_not: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < until_s, why_not
            try:
                self._heard.get(timeout=0.1)
            except queue.Empty:
                continue


_SETTINGS = {
    "yaml": {
        "validate": True,
        "completion": True,
        "hover": True,
        "schemaStore": {"enable": False},
        "disableDefaultProperties": False,
    },
    "[yaml]": {"editor.tabSize": 2},
}
