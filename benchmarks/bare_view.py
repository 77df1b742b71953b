"""The limit for a request that submits a job: a Flask view that asks Redis once, and nothing else.

`gunicorn -c gunicorn.conf.py benchmarks.bare_view:app`
"""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from app.config import Config
from app.queue.connection import connect

app = Flask(__name__)
_client = connect(Config.load().server_url, name="bare-view", max_connections=64)


@app.post("/bare")
def bare() -> Response:
    body = request.get_json()
    number = _client.incr("bare")
    return jsonify({"query_id": number, "data": body})
