#!/usr/bin/python3
"""A stub of the randomuser API on loopback, for tests: prints its port, then the place of every
request; ends with its input.

/clean/   answers as documented
/traps/   the first requests fail, each in another way; then one page with every awkward shape
"""
import http.server
import json
import os
import sys
import threading
import urllib.parse

hits = {"clean": 0, "traps": 0, "elsewhere": 0}


def person(page, row):
    """A person has always the same id, but at each call another address: pages change."""
    postcode = 10115 if row % 3 else "E1 6AN"
    if row % 3 == 1:
        postcode = "00123"
    return {
        "login": {"uuid": f"{page:08x}-0000-4000-8000-{row:012x}", "username": f"user{page}-{row}"},
        "name": {"title": "Ms", "first": "Ada", "last": f"Example {row}"},
        "gender": "female" if row % 2 else "male",
        "dob": {"date": "1980-05-06T07:08:09.123Z", "age": 99},
        "registered": {"date": "2010-01-01T00:00:00.000Z", "age": 7},
        "location": {
            "street": {"number": 12, "name": "High Street"},
            "city": "Leeds",
            "state": "West Yorkshire",
            "country": "United Kingdom",
            "postcode": postcode,
            "coordinates": {"latitude": "1.5", "longitude": "-2.5"},
            "timezone": {"offset": "+1:00", "description": "-"},
        },
        "email": f"ada.{row}.{hits['clean']}.@example.com",
        "phone": "015396 12345",
        "cell": "07123 456789",
        "picture": {"large": f"https://example.com/{row}.jpg", "thumbnail": "t"},
        "nat": "GB",
    }


def shapes(results):
    """The traps within a page that is right."""
    results[1]["location"]["street"] = "7 Old Form Lane"
    results[2]["id"] = {"name": "", "value": None}
    results[3]["name"]["last"] = 'O"Neill \\ \U0001f5f3 \u0627\u0644'
    del results[4]["login"]["uuid"]
    results[5]["dob"]["date"] = "2031-01-01T00:00:00.000Z"
    results[6]["location"]["postcode"] = None
    results[7]["email"] = "a\u0000b@example.com"
    return results


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json; charset=utf-8", headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def page(self, mend=lambda results: results):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        count = int(query["results"][0])
        count = count if 1 <= count <= 5000 else 1
        page = int(query["page"][0])
        return json.dumps({"results": mend([person(page, row) for row in range(count)])})

    def half(self):
        body = self.page().encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True

    def endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(b'{"results": [')
        try:
            while True:
                self.wfile.write(b" " * 65536)
        except OSError:
            pass  # the client has had enough

    def trap(self, number):
        traps = [
            lambda: self.reply(429, '{"error": "Uh oh, you asked too much"}'),
            lambda: self.reply(500, "Internal Server Error", "text/plain"),
            lambda: self.reply(403, "<html>go away</html>", "text/html"),
            self.half,
            lambda: self.reply(200, self.page(lambda results: results[:1])),
            lambda: self.reply(200, '{"error": "Uh oh, something has gone wrong"}'),
            self.endless,
            lambda: self.reply(302, "", headers=[("Location", "/elsewhere/")]),
            lambda: self.reply(200, self.page(), "text/html"),
            lambda: self.reply(200, self.page()[:-5]),
            lambda: self.reply(200, '{"results": {}}'),
        ]
        if number < len(traps):
            traps[number]()
        else:
            self.reply(200, self.page(shapes))

    def do_GET(self):
        place = urllib.parse.urlsplit(self.path).path.strip("/")
        print(place, flush=True)
        number = hits[place]
        hits[place] += 1
        if place == "traps":
            self.trap(number)
        else:
            self.reply(200, self.page())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
