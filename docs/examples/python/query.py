#!/usr/bin/env python3
"""SQL in, Arrow out: a client of openduck.v1 with grpcio and pyarrow and nothing of ours.

    pip install grpcio grpcio-tools pyarrow
    OPENDUCK_TOKEN=… python3 query.py http://HOST:PORT mydb "SELECT * FROM t"

Prints the result as CSV. `query` gives a pyarrow.Table, `stream` its record batches as they come.
"""
import os
import pathlib
import sys
import urllib.parse
import uuid

import grpc
import pyarrow
import pyarrow.csv

# The protocol: the only file of openduck-fuse that a client needs.
PROTO_ROOT = os.environ.get(
    "OPENDUCK_PROTO_ROOT", pathlib.Path(__file__).resolve().parents[3] / "proto"
)
sys.path.insert(0, str(PROTO_ROOT))
messages, services = grpc.protos_and_services("openduck/v1/execution.proto")

MAX_MESSAGE_BYTES = 64 << 20


class QueryError(Exception):
    """What DuckDB says of the statement."""


def connect(endpoint, ca=None):
    """A channel to http://HOST:PORT, or to https://HOST:PORT with the PEM bytes `ca`."""
    url = urllib.parse.urlsplit(endpoint)
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    if url.scheme == "https":
        return grpc.secure_channel(url.netloc, grpc.ssl_channel_credentials(ca), options)
    return grpc.insecure_channel(url.netloc, options)


def stream(channel, sql, database="", token="", snapshot=None, timeout=None):
    """Record batches; the first one is there, empty, also when there are no rows."""
    request = messages.ExecuteFragmentRequest(
        plan=sql.encode(),
        database=database,
        access_token=token,
        execution_id=str(uuid.uuid4()),
        **({} if snapshot is None else {"snapshot_id": snapshot}),
    )
    stub = services.ExecutionServiceStub(channel)
    # Larger batches than the 2048 rows that every client can take.
    metadata = [("openduck-batch-rows", "65536")]
    for chunk in stub.ExecuteFragment(request, timeout=timeout, metadata=metadata):
        kind = chunk.WhichOneof("payload")
        if kind == "error":
            raise QueryError(chunk.error)
        if kind == "arrow_batch":
            # Each payload is a complete stream: schema, record batches, end.
            with pyarrow.ipc.open_stream(chunk.arrow_batch.ipc_stream_payload) as reader:
                yield from reader.read_all().to_batches() or [
                    pyarrow.RecordBatch.from_pylist([], schema=reader.schema)
                ]


def query(channel, sql, **options):
    return pyarrow.Table.from_batches(stream(channel, sql, **options))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    _, endpoint, database, sql = sys.argv
    token = os.environ.get("OPENDUCK_TOKEN", "")
    with connect(endpoint) as channel:
        try:
            table = query(channel, sql, database=database, token=token)
        except QueryError as error:
            sys.exit(f"query.py: {error}")
        except grpc.RpcError as error:
            sys.exit(f"query.py: {error.code().name}: {error.details()}")
    pyarrow.csv.write_csv(table, sys.stdout.buffer)


if __name__ == "__main__":
    main()
