"""A connection of one's own, on which commands are sent before earlier ones are answered."""

from __future__ import annotations

from typing import Any

import redis


class Line:
    """For one thread, but for `close`. Nothing is sent twice: who sends says what a lost answer
    means. Raises what redis-py raises; after an error that is no answer, `cut` it."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool
        self._connection: Any = None
        self._unanswered = 0
        self.closed = False

    def send(self, *commands: tuple[Any, ...]) -> None:
        """In one packet."""
        if self._connection is None:
            self._connection = self._pool.get_connection()
        elif not self._connection.is_connected:
            self._connection.connect()  # to whoever is the master by now
        packed = self._connection.pack_commands(commands)
        self._unanswered += len(commands)
        # A PING among them would get another's answer.
        self._connection.send_packed_command(packed, check_health=False)
        if self.closed:  # just before it could be cut
            raise redis.ConnectionError("closed")

    def receive(self) -> Any:
        """The answer to the first command that has none yet. Raises one that is an error."""
        try:
            answer = self._connection.read_response()
        except redis.ResponseError:
            self._unanswered -= 1
            raise
        self._unanswered -= 1
        return answer

    def cut(self) -> None:
        """Answers that are still to come must not be the next one's."""
        if self._connection is not None:
            self._connection.disconnect()
        self._unanswered = 0

    def give_back(self) -> None:
        """To the client, whatever happened meanwhile."""
        if self._unanswered:
            self.cut()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)

    def close(self) -> None:
        """From any thread: ends a `receive` that waits, and whatever is sent from now on."""
        self.closed = True
        self.cut()
