"""smtp-server, nodemailer's server, of the npm registry: package-lock.json says which one exactly."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import require_peer

from matrix.peer import Private, fetched

HERE = Path(__file__).resolve().parent

SCRIPT = """
const fs = require("fs");
const { SMTPServer } = require("smtp-server");
const given = JSON.parse(process.argv[2]);
const read = (path) => fs.readFileSync(path);
let count = 0;
new SMTPServer({
    cert: read(given.cert), key: read(given.key), ca: [read(given.ca)],
    requestCert: given.verify, rejectUnauthorized: given.verify,
    authOptional: true, disabledCommands: ["AUTH"], disableReverseLookup: true,
    onData(stream, session, done) {
        const pieces = [];
        stream.on("data", (piece) => pieces.push(piece));
        stream.on("end", () => {
            const number = count++;
            fs.writeFileSync(`${given.store}/${number}.tmp`, Buffer.concat(pieces));
            fs.renameSync(`${given.store}/${number}.tmp`, `${given.store}/new/${number}`);
            done(session.secure ? null : new Error("in clear"));
        });
    },
}).on("error", (error) => console.log(String(error))).listen(given.port, "127.0.0.1");
"""


def modules() -> Path:
    """node_modules with smtp-server in it. A machine need not have npm, nor reach its registry."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("npm is not installed, which fetches smtp-server")
    # Another lock file is another folder.
    name = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:8]

    def fetch(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        argv = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot fetch smtp-server: {done.stderr.strip()}")

    return fetched(f"smtp-server-{name}", fetch) / "node_modules"


class SmtpServer(Private):
    """The instance; it keeps only what came inside TLS."""

    name = "smtp-server"

    def environment(self) -> dict[str, str]:
        return {"NODE_PATH": str(self._modules)}

    def configure(self) -> list[str]:
        node = require_peer("node", "nodejs")
        self._modules = modules()
        (self.folder / "new").mkdir()
        script = self.folder / "server.js"
        script.write_text(SCRIPT)
        cert, key = self.condition.pair(self.pki)
        given = {"cert": str(cert), "key": str(key), "ca": str(self.pki.ca), "store": str(self.folder)}
        return [node, str(script), json.dumps({**given, "verify": self.condition.own, "port": self.port})]

    def mail(self, count: int) -> list[bytes]:
        return self.stored(self.folder / "new", count)
