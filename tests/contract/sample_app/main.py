"""What the contract suite runs on a real engine: one file, no dependency, a behaviour by its argument.

healthy   listens on $PORT and answers 200
crashes   says why on stderr and exits with 3
silent    runs and never listens
hungry    takes memory until something stops it
chatty    as healthy, and writes a numbered line to stdout and stderr in turn, a hundred a second
"""

import http.server
import os
import sys
import threading
import time

behaviour = sys.argv[1] if len(sys.argv) > 1 else "healthy"
sys.stdout.write(f"starting {behaviour} greeting={os.environ.get('GREETING', '')}\n")
sys.stdout.flush()

if behaviour == "crashes":
    sys.stderr.write("boom: no database\n")
    sys.exit(3)
if behaviour == "silent":
    while True:
        time.sleep(60)
if behaviour == "hungry":
    held = []
    while True:
        held.append(b"x" * (8 << 20))


def chat() -> None:
    number = 0
    while True:
        for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
            stream.write(f"{name} {number}\n")
            stream.flush()
        number += 1
        time.sleep(0.02)


if behaviour == "chatty":
    threading.Thread(target=chat, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = os.environ.get("PAAS_RELEASE", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
